"""Every setting and command that the files in deploy/ name exists."""

from __future__ import annotations

import pytest
import yaml
from support.deployed import DEPLOY, VARIABLE, resolve, settings

TEXTS = sorted(
    path
    for path in DEPLOY.rglob("*")
    if path.is_file()
    and path.suffix in {"", ".yaml", ".yml", ".sh", ".py", ".env", ".example"}
    and "__pycache__" not in path.parts
)


def test_the_files_are_found() -> None:
    names = {path.name for path in TEXTS}
    assert {"Dockerfile", "compose.yaml", "worker.yaml", "entrypoint.sh", "secrets.env.example"} <= names


def test_every_variable_is_a_setting() -> None:
    named = {(path.name, name) for path in TEXTS for name in VARIABLE.findall(path.read_text())}
    assert len(named) > 20
    assert {pair for pair in named if pair[1] not in settings()} == set()


def test_every_command_in_compose_exists() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("ouzel")}
    resolved = {name: resolve(service["command"]) for name, service in ours.items() if "entrypoint" not in service}
    assert resolved == {
        "topics": "ouzel topics create", "worker-1": "ouzel worker", "worker-2": "ouzel worker", "serve": "ouzel serve",
        "simulate": "ouzel simulate", "replay": "ouzel replay", "intake": "ouzel intake",
        "learner": "ouzel learner",
    }  # fmt: skip
    (by_shell,) = ours["keys"]["command"]
    words = by_shell.partition("ouzel ")[2].split()
    assert resolve(words) == "ouzel keys create"


@pytest.mark.parametrize("arguments", [["worker", "--no-such-option"], ["topics", "forget"], ["sereve"]])
def test_an_unknown_command_or_option_is_detected(arguments: list[str]) -> None:
    assert resolve(arguments) == ""
