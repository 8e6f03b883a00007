"""The pure core imports none of the machinery around it. pyproject.toml lists its modules."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS: list[dict[str, Any]] = [
    contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    if "pure" in contract["name"]
]
IMPORT_ALL = """
import pkgutil
from importlib import import_module
for name in {names}:
    module = import_module(name)
    for inner in pkgutil.iter_modules(getattr(module, "__path__", ()), name + "."):
        import_module(inner.name)
"""


def imported_by(program: str) -> set[str]:
    """Run a program; return the names of the modules that it has imported."""
    program += "\nimport sys; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(run.stdout.split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def test_the_commands_start_without_faust_and_the_slow_packages() -> None:
    """Faust would take the options of a command for its own."""
    imported = packages(imported_by("import serving.cli; serving.cli.build()"))
    assert "typer" in imported
    assert not imported & {"faust", "mode", "torch", "numba", "matplotlib"}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["source_modules"][0])
def test_the_pure_core_imports_none_of_the_machinery(contract: dict[str, Any]) -> None:
    imported = imported_by(IMPORT_ALL.format(names=contract["source_modules"]))
    assert set(contract["source_modules"]) <= imported
    assert not packages(imported) & set(contract["forbidden_modules"])


def test_each_module_that_claims_to_be_pure_is_in_a_contract() -> None:
    """A claim is the word Pure in the docstring of the module."""
    listed = {name for contract in CONTRACTS for name in contract["source_modules"]}
    for path in [*ROOT.glob("streams/**/*.py"), *ROOT.glob("serving/**/*.py")]:
        docstring = path.read_text().split('"""')[1] if path.read_text().startswith('"""') else ""
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if "Pure" in docstring:
            assert {name, name.rpartition(".")[0]} & listed, f"{name} claims to be pure, but pyproject.toml does not list it"


def test_there_are_contracts_to_check() -> None:
    assert len(CONTRACTS) == 3
    assert len(CONTRACTS[0]["source_modules"]) > 20
