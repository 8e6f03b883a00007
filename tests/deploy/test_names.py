"""Every setting and every command that deploy/ names is one."""

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


def test_there_is_something_to_look_at() -> None:
    names = {path.name for path in TEXTS}
    assert {"Dockerfile", "compose.yaml", "worker.yaml", "entrypoint.sh", "secrets.env.example"} <= names


def test_each_variable_is_a_setting() -> None:
    named = {(path.name, found) for path in TEXTS for found in VARIABLE.findall(path.read_text())}
    assert len(named) > 20
    assert {pair for pair in named if pair[1] not in settings()} == set()


def test_each_command_of_compose_is_one() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith("ouzel")}
    resolved = {name: resolve(service["command"]) for name, service in ours.items() if "entrypoint" not in service}
    assert resolved == {
        "topics": "ouzel topics create", "worker-1": "ouzel worker", "worker-2": "ouzel worker", "serve": "ouzel serve",
        "simulate": "ouzel simulate", "replay": "ouzel replay",
    }  # fmt: skip
    (by_shell,) = ours["keys"]["command"]
    words = by_shell.partition("ouzel ")[2].split()
    assert resolve(words) == "ouzel keys create"


@pytest.mark.parametrize("arguments", [["worker", "--no-such-option"], ["topics", "forget"], ["sereve"]])
def test_what_is_no_command_is_found(arguments: list[str]) -> None:
    assert resolve(arguments) == ""
