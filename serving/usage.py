"""Describes a wrong use of the command line in one line: the option, the value, what is allowed."""

from __future__ import annotations

from typing import Any

import typer
from pydantic import ValidationError

HELP_SHOWN = ""
"""The line of a use that was answered with the help already."""
SHOWN = 80
"""Characters of a wrong value that are shown."""
KINDS = {"int_parsing": "a whole number", "float_parsing": "a number", "bool_parsing": "true or false"}
BOUNDS = {"greater_than_equal", "less_than_equal"}


def usage_line(error: typer.TyperException) -> str:
    """Return one line about a wrong option or argument, or `HELP_SHOWN`.

    The parser names an option by the kind of its value, and leaves out the value itself. This line
    has both.
    """
    context = getattr(error, "ctx", None)
    advice = f"`{context.command_path} --help` lists what is allowed" if context is not None else ""
    message = " ".join(error.format_message().split()).rstrip(".")
    parameter = getattr(error, "param", None)
    if not message:
        return HELP_SHOWN
    if parameter is None:
        message = f"{message[0].lower()}{message[1:]}"
    elif isinstance(error.__cause__, ValidationError):
        problem = error.__cause__.errors()[0]
        message = (
            f"{_name(parameter)}: {problem['input']!r:.{SHOWN}} is not {_allowed(problem['type'], problem['msg'], parameter)}"
        )
    else:
        message = f"{_name(parameter)}: {error.message or 'it is missing'}"
    return f"{message}{' ' if message.endswith('?') else '; '}{advice}" if advice else message


def _name(parameter: Any) -> str:
    """Return an option's name, or the name that the help gives an argument."""
    return str(max(parameter.opts, key=len) if parameter.opts[0].startswith("-") else parameter.metavar or parameter.name)


def _allowed(kind: str, message: str, parameter: Any) -> str:
    """Say what is allowed. ``kind`` and ``message`` are pydantic's."""
    if kind not in BOUNDS:
        return KINDS.get(kind, f"valid: {message}")
    declared = parameter.type_descriptor.parameter_info
    least, most = (None if bound is None else f"{bound:,}" for bound in (declared.min, declared.max))
    if least is not None and most is not None:
        return f"from {least} to {most}"
    return f"at least {least}" if most is None else f"at most {most}"
