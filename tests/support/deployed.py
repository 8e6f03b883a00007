"""What the files in deploy/ ask for, as data: every container with its arguments and its OUZEL_* variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from serving.cli import build
from streams.settings import CONFIG_VARIABLE, PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
VARIABLE = re.compile(r"\bOUZEL_[A-Z0-9_]+")


def documents(text: str) -> list[dict[str, Any]]:
    """The YAML documents in a text."""
    return [found for found in yaml.safe_load_all(text) if found is not None]


def settings() -> set[str]:
    """Every variable that is one."""
    return {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}


def resolve(arguments: list[str]) -> str:
    """The command that these arguments of `ouzel` name; empty where there is none, or where it does not know an option."""
    told = CliRunner().invoke(build(), [*arguments, "--help"], env={"COLUMNS": "200"}, prog_name="ouzel")
    found = re.search(r"Usage: (ouzel[a-z -]*?) (\[|[A-Z]|$)", told.output, re.MULTILINE)
    return found[1].strip() if found and told.exit_code == 0 else ""


def templates(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pod templates in a Kubernetes manifest."""
    template = manifest.get("spec", {}).get("template")
    if template is not None:
        yield template["spec"]
