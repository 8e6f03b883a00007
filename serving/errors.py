"""The error of the commands; `streams.errors` has the others."""

from __future__ import annotations

from streams.errors import OuzelError


class CliError(OuzelError):
    """A command cannot do its work: there is nothing to show, or a port, file or process fails.

    The exit code is 1.

    A wrong option, argument, setting or input file raises `streams.errors.Refused` instead, with
    exit code 2.
    """
