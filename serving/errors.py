"""The error that commands raise when their work fails. `streams.errors` has the other errors."""

from __future__ import annotations

from streams.errors import OuzelError


class CliError(OuzelError):
    """A command cannot do its work: there is nothing to show, or a port, file or process fails.

    The exit code is 1. A wrong option, argument, setting or input file raises
    `streams.errors.Refused` instead, and the exit code is 2.
    """
