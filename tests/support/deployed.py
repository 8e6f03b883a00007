"""The files in deploy/ as data: YAML documents, pod templates, commands and settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from serving.cli import build
from streams.settings import CONFIG_VARIABLE, PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
VARIABLE = re.compile(r"\bOUZEL_[A-Z0-9_]+")


def with_tools() -> str:
    """The interpreter of the tools in requirements/tools.txt. Skips the test if there is none."""
    program = Path(sys.prefix) / "tools" / "bin" / "python"
    if not program.exists():
        pytest.skip(f"the tools of requirements/tools.txt are not installed in {program.parents[1]}: run make tools")
    return str(program)


def documents(text: str) -> list[dict[str, Any]]:
    """The YAML documents in a text."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


def settings() -> set[str]:
    """The names of every environment variable that is a setting."""
    return {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}


def resolve(arguments: list[str]) -> str:
    """The command that these arguments run; empty if there is no such command or option."""
    result = CliRunner().invoke(build(), [*arguments, "--help"], env={"COLUMNS": "200"}, prog_name="ouzel")
    usage = re.search(r"Usage: (ouzel[a-z -]*?) (\[|[A-Z]|$)", result.output, re.MULTILINE)
    return usage[1].strip() if usage and result.exit_code == 0 else ""


def templates(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The pod templates in a Kubernetes manifest."""
    template = manifest.get("spec", {}).get("template")
    if template is not None:
        yield template["spec"]
