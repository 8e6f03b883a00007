"""Which settings a command reads. Follows the names in its code, without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
COMMANDS = "serving.commands"
DERIVED = {
    "brokers": ("broker",),
    "topic": ("topic_prefix", "events_topic", "items_topic", "topic_names"),
    "is_provided": ("events_topic", "items_topic"),
    "domain": ("topic_prefix",),
    "learner_group": ("app_id",),
    "transaction_timeout_ms": ("transaction_timeout_s",),
}
"""Members of `Settings` that are computed from settings."""


CHILDREN = {"streams.training.child": "streams.training.process"}
"""Modules whose code starts another module as a process of its own."""


class Name(NamedTuple):
    """A name at the top level of a module: of a function, a class or a constant."""

    module: str
    name: str


def commands() -> set[str]:
    """Return the modules of the commands, by their last names."""
    return {path.stem for path in (ROOT / COMMANDS.replace(".", "/")).glob("*.py")} - {"__init__"}


def settings_read(command: str) -> set[str]:
    """Return the settings that a command's code reads, including all code that it can reach."""
    module = f"{COMMANDS}.{command}"
    reached, ahead = set[Name](), [Name(module, name) for name in _defined(module)]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += _used(name)
            child = CHILDREN.get(name.module)
            ahead += [Name(child, started) for started in _defined(child)] if child else []
    return {setting for name in reached for setting in _read(name)}


@cache
def _tree(module: str) -> ast.Module | None:
    """The code of one of our modules; ``None`` for a package's folder and for what is not ours."""
    file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(file.read_text()) if file.is_file() else None


@cache
def _defined(module: str) -> Mapping[str, ast.AST]:
    defined: dict[str, ast.AST] = {}
    tree = _tree(module)
    for node in tree.body if tree else ():
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                defined[node.name] = node
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                defined |= {part.id: node for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return defined


@cache
def _imported(module: str) -> Mapping[str, Name]:
    """Where the names that a module imports come from, also those that a function imports."""
    tree = _tree(module)
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)] if tree else []
    return {alias.asname or alias.name: Name(node.module or "", alias.name) for node in statements for alias in node.names}


def _used(name: Name) -> Iterator[Name]:
    """The names of ours that a definition mentions."""
    imported, defined = _imported(name.module), _defined(name.module)
    for node in ast.walk(defined[name.name]):
        match node:
            case ast.Name(id=used) if used in defined:
                yield Name(name.module, used)
            case ast.Name(id=used) if used in imported and imported[used].name in _defined(imported[used].module):
                yield imported[used]
            case ast.Attribute(value=ast.Name(id=used), attr=attribute) if used in imported:
                module = ".".join(imported[used])
                if attribute in _defined(module):
                    yield Name(module, attribute)


def _read(name: Name) -> Iterable[str]:
    """The settings that a definition reads: attributes of what is called settings."""
    for node in ast.walk(_defined(name.module)[name.name]):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).removesuffix("()").endswith("settings"):
            yield from DERIVED.get(node.attr, (node.attr,))
