"""Only one module of the commands prints."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
PRINTERS = {
    "print", "input", "pprint", "echo", "secho", "prompt", "confirm", "Console", "StreamHandler", "PrintLogger", "print_exc",
    "basicConfig",
}  # fmt: skip
"""Functions and classes that write to a standard stream."""
ALLOWED = {
    "serving/terminal.py": {"print", "typer.confirm", "sys.stdout", "sys.stderr"},
    "streams/observing/logs.py": {"logging.StreamHandler", "structlog.PrintLogger", "sys.stderr"},
    "streams/engine/faust_app.py": {"sys.stderr"},
    "serving/evaluation/evaluating.py": {"sys.stdout"},
    "deploy/supply_chain/audit.py": {"print"},
}
"""What each module that prints may use.

The logs and the last words of a worker are escaped where they are written. What `evaluating` writes
is JSON for its parent process. `audit` runs in an environment without the library of the terminal.
"""
STREAMS = ("stdout", "stderr")
QUIET = ("flush", "isatty")
"""What any module may do with a standard stream."""


def printing(path: Path) -> set[str]:
    """Each use of a standard stream, and each call that prints, in a module."""
    text = path.read_text()
    if not any(word in text for word in (*PRINTERS, *STREAMS, "exit")):
        return set()
    nodes = list(ast.walk(ast.parse(text)))
    quiet = {node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr in QUIET}
    found = set[str]()
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in STREAMS and node not in quiet:
            if ast.unparse(node.value) == "sys":
                found.add(ast.unparse(node))
        elif isinstance(node, ast.Call):
            found |= _printing_call(node)
        elif isinstance(node, ast.ImportFrom) and node.module in ("sys", "typer", "click", "rich"):
            found |= {f"import of {one.name}" for one in node.names if one.name in (*PRINTERS, *STREAMS)}
    return found


def _printing_call(node: ast.Call) -> set[str]:
    owned = isinstance(node.func, ast.Attribute)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    of_terminal = (name == "print" and owned) or (name == "confirm" and not owned)  # of a console, and ours
    if name in PRINTERS and not of_terminal:
        return {ast.unparse(node.func)}
    with_text = any(isinstance(one, ast.JoinedStr | ast.BinOp) for one in node.args)
    return {"sys.exit with a text"} if name in ("exit", "SystemExit") and with_text else set()


def test_no_module_goes_round_the_function_that_escapes() -> None:
    sources = [path for folder in ("serving", "streams", "models", "deploy") for path in (ROOT / folder).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): uses for path in sources if (uses := printing(path))}
    assert len(sources) > 200
    assert found == ALLOWED
