"""No process of Ouzel runs code that lies in the current directory."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams.child_command import module_command

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "streams", "serving", "deploy")
MODULES = ("structlog", "json", "msgspec", "typer", "serving", "numpy")
"""Names of modules that the commands import."""


@pytest.fixture
def poisoned(tmp_path: Path) -> Path:
    """A folder with modules that leave a file named `ran` when they are imported."""
    folder = tmp_path / "poisoned"
    folder.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write('{name} ')\nraise SystemExit(66)\n")
    return folder


def run(command: list[str], folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"} | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=env | settings, capture_output=True, text=True, timeout=120, check=False)


def test_a_poisoned_module_runs_without_the_option(poisoned: Path) -> None:
    """The other tests would prove nothing if these modules were not imported."""
    done = run([sys.executable, "-m", "serving.cli", "--version"], poisoned)
    assert done.returncode != 0
    assert (poisoned.parent / "ran").exists()


def test_a_child_does_not_import_from_the_current_directory(poisoned: Path) -> None:
    done = run(module_command("serving.cli", "--version"), poisoned)
    assert (done.returncode, done.stdout[:5]) == (0, "ouzel"), done.stderr
    assert not (poisoned.parent / "ran").exists()


def test_a_supervised_worker_does_not_import_from_the_current_directory(poisoned: Path) -> None:
    (poisoned / "data").touch()
    done = run(module_command("serving.cli", "worker", "--supervise"), poisoned, OUZEL_DATA_DIR=str(poisoned / "data" / "1"))
    assert (done.returncode, "cannot be used" in done.stderr) == (2, True), done.stderr
    assert not (poisoned.parent / "ran").exists()


def test_an_evaluation_does_not_import_from_the_current_directory(poisoned: Path) -> None:
    (poisoned / "none.jsonl").write_text('{"no": "event"}\n')
    done = run(module_command("serving.cli", "evaluate", "none.jsonl", "--method", "popularity"), poisoned)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert not (poisoned.parent / "ran").exists()


def test_only_one_function_names_the_interpreter_of_a_child() -> None:
    named = set()
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        if any(isinstance(node, ast.Attribute) and node.attr == "executable" for node in nodes):
            named.add(path.relative_to(ROOT))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
        assert not {name for name in imported if name.split(".")[0] in ("multiprocessing", "concurrent")}, path
    uv = Path("deploy/supply_chain/lock.py")  # it runs the uv that lies beside this Python
    assert named == {Path("streams/child_command.py"), uv}
