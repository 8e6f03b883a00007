"""Describes wrong settings in one line: the value, what is allowed, and where to correct it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic.fields import FieldInfo

from streams.configuration.fields import CONFIG_VARIABLE, PREFIX, allowed, from_environment, is_secret, variable

TEST_VARIABLE = "OUZEL_TEST_DATA"
# Kubernetes and Docker put the address of a service "ouzel..." into each container beside it.
SERVICE_VARIABLE = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?")
SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
LOGIN = re.compile(r"[^\s,;'\"]*@")
"""What precedes an @ in a value. In an address, it may be a name and a password."""
SHOWN = 80
"""Characters of a wrong value that are shown."""


def unknown_variables(fields: Mapping[str, FieldInfo]) -> list[str]:
    """Describe the environment variables that look like settings but are not."""
    known = {*map(variable, fields), CONFIG_VARIABLE, TEST_VARIABLE}
    return [
        f"{name}: there is no such setting. {_advice(name, fields)} Correct or unset {name}."
        for name, value in sorted(os.environ.items())
        if name.startswith(PREFIX)
        and name not in known
        and not SERVICE_VARIABLE.fullmatch(name)
        and not SERVICE_ADDRESS.match(value)
    ]


def problem_line(problem: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> str:
    """Describe one of pydantic's problems, in one sentence or more."""
    place, kind = problem["loc"], problem["type"]
    path, message = ".".join(map(str, place)), str(problem["msg"]).removeprefix("Value error, ")
    if not place:  # a rule about several settings, whose message is complete
        return message
    if kind == "extra_forbidden":
        return f"{path}: there is no such setting. {_advice(path, fields)} Correct {os.environ.get(CONFIG_VARIABLE)}."
    reason = message if kind == "value_error" else "not finite" if kind == "finite_number" else ""
    return _not_allowed(path, str(place[0]), fields, problem["input"], reason)


def not_json(message: str, fields: Mapping[str, FieldInfo]) -> str:
    """Describe an environment variable that is not JSON. Pydantic's message names its field."""
    named = re.search(r'field "(\w+)"', message)
    return _not_allowed(named[1], named[1], fields, from_environment(named[1]), "not JSON") if named else message


def _not_allowed(path: str, name: str, fields: Mapping[str, FieldInfo], value: object, reason: str) -> str:
    given = "the value, a secret," if is_secret(fields[name]) else LOGIN.sub("***@", repr(value))[:SHOWN]
    place = f"it in {os.environ.get(CONFIG_VARIABLE)}" if from_environment(name) is None else variable(name)
    why = f": {reason}" if reason else ""
    return f"{path}: {given} is not valid{why}. Allowed: {allowed(name, fields[name])}. Correct {place}."


def _advice(name: str, fields: Iterable[str]) -> str:
    """Suggest the setting that an unknown name, of a setting or a variable, probably means."""
    if similar := get_close_matches(name.removeprefix(PREFIX).lower(), fields, 1):
        return f"Did you mean {variable(similar[0]) if name.startswith(PREFIX) else similar[0]}?"
    return "`ouzel config` lists all settings."
