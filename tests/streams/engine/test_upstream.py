"""What we override or rely on in Faust, mode and aiokafka still has the source that we know.

When a test here fails after an update of a library, read the new source and adapt our code to it.
Then write the new hashes:

    PYTHONPATH=. python tests/streams/engine/test_upstream.py
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import json
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import serving
import streams
from streams.engine import upstream
from streams.kafka import upstream as kafka_upstream

LIBRARIES = ("faust", "mode", "aiokafka")
ROOMS = ("engine", "delivery", "intake", "kafka")
KNOWN = Path(__file__).with_suffix(".json")
PUBLIC = {"_exit", "_replace"}
"""Documented names of the standard library that begin with an underscore."""


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


def is_upstream(owner: type) -> bool:
    return owner.__module__.partition(".")[0] in LIBRARIES


def subclasses() -> set[type]:
    """Every class of ours that derives from a class of one of the libraries."""
    return {
        member
        for package in (streams, serving)
        for module in modules(package)
        for member in vars(module).values()
        if isinstance(member, type) and member.__module__ == module.__name__ and any(map(is_upstream, member.__mro__))
    }


@cache
def parsed(path: str) -> tuple[ast.Module, list[str]]:
    text = Path(path).read_text()
    return ast.parse(text), text.splitlines()


def names(statement: ast.stmt) -> list[str]:
    """What a statement in a class body defines. An annotation without a value defines nothing."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return [statement.name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return [name]
    return []


@cache
def definitions(owner: type) -> dict[str, str]:
    """The source of everything that the body of a class defines.

    It consists of whole lines of the file, so it is the same under every version of Python.
    """
    tree, lines = parsed(str(inspect.getsourcefile(owner)))
    body: list[ast.stmt] = tree.body
    for name in owner.__qualname__.split("."):
        body = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == name).body
    sources: dict[str, str] = {}
    for statement in body:
        first = min([statement.lineno, *(node.lineno for node in getattr(statement, "decorator_list", []))])
        source = textwrap.dedent("\n".join(line.rstrip() for line in lines[first - 1 : statement.end_lineno]))
        for name in names(statement):
            sources[name] = f"{sources[name]}\n{source}" if name in sources else source
    return sources


def overridden() -> dict[str, str]:
    """The source upstream of everything that a class of ours replaces."""
    sources = {}
    for ours in subclasses():
        for name in definitions(ours):
            theirs = next((base for base in ours.__mro__ if is_upstream(base) and name in definitions(base)), None)
            if theirs is not None:
                sources[f"{theirs.__module__}.{theirs.__qualname__}.{name}"] = definitions(theirs)[name]
    return sources


def relied_on() -> dict[str, str]:
    """The source of what both modules `upstream` declare."""
    sources = {}
    for path, members in (*upstream.RELIED_ON, *kafka_upstream.RELIED_ON):
        module, _, owner = path.rpartition(".")
        for name in members.split():
            sources[f"{path}.{name}"] = definitions(getattr(importlib.import_module(module), owner))[name]
    return sources


def digests() -> dict[str, str]:
    sources = overridden() | relied_on()
    return {path: hashlib.sha256(sources[path].encode()).hexdigest()[:16] for path in sorted(sources)}


def test_upstream_is_as_it_was_when_we_wrote_our_code() -> None:
    """Fails if a source has changed, if an override is missing, and if an entry is stale."""
    known, present = json.loads(KNOWN.read_text()), digests()
    wrong = {path for path in known.keys() | present.keys() if known.get(path) != present.get(path)}
    assert not wrong, f"read the source upstream, adapt our code, then run: python {Path(__file__).name}"


def test_every_kind_of_override_is_noticed() -> None:
    """Some that a list written by hand lacked, and one of each kind."""
    noticed = {path.rpartition(".")[2] for path in digests()}
    assert noticed >= {
        "seek_wait", "verify_all_partitions_active", "on_thread_stop", "_slurp_changelogs", "_restart_recovery",
        "_on_rebalance_when_stopped", "_proc_fetch_request", "_consumer_record", "_send_req", "add_batch",
        "recovery", "Consumer", "loads_key", "__init__",
    }  # fmt: skip


def private(node: ast.AST) -> Iterator[ast.Attribute]:
    """Accesses to privates of anything but ``self``, ``cls`` and ``super()``."""
    for access in ast.walk(node):
        if isinstance(access, ast.Attribute) and re.match("_[a-z]", access.attr) and access.attr not in PUBLIC:
            owner = access.value
            itself = isinstance(owner, ast.Name) and owner.id in ("self", "cls")
            if not itself and not (isinstance(owner, ast.Call) and getattr(owner.func, "id", None) == "super"):
                yield access


def test_every_private_that_upstream_reads_is_in_a_source_that_it_declares() -> None:
    text = "\n".join(relied_on().values())
    trees = [parsed(str(module.__file__))[0] for module in (upstream, kafka_upstream)]
    read = {access.attr for tree in trees for access in private(tree)}
    assert {"_coordination_task", "_parse_fetched_data"} <= read
    assert {name for name in read if not re.search(rf"\b{name}\b", text)} == set()


def test_privates_of_the_libraries_are_reached_through_upstream_only() -> None:
    root = Path(streams.__path__[0])
    files = [file for room in ROOMS for file in (root / room).glob("*.py")] + [root / "assembly.py"]
    accesses = [
        f"{file.name}: {ast.unparse(access)}"
        for file in files
        if file.name != "upstream.py"
        for access in private(parsed(str(file))[0])
    ]
    assert accesses == ["recovery.py: FaustRecovery._restart_recovery"], "which is `super()` of a task"


if __name__ == "__main__":
    KNOWN.write_text(json.dumps(digests(), indent=1) + "\n")
