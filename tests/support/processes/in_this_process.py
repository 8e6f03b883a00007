"""Commands of `ouzel` in this process: a process of its own takes seconds to import the model."""

from __future__ import annotations

import os
import signal
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from subprocess import CompletedProcess

import structlog
import torch
from support.processes.running import environment

from serving.cli import main
from streams.settings import Settings


def ouzel(settings: Settings, *arguments: str) -> CompletedProcess[str]:
    """Run a command to its end. An error that the command does not turn into one line is raised.

    Undoes what a command changes for its own process: the environment, the handler of SIGTERM, the
    logger, and the denormals that the warm-up of a model flushes.
    """
    before, handler, logger = dict(os.environ), signal.getsignal(signal.SIGTERM), structlog.get_config()
    out, errors = StringIO(), StringIO()
    os.environ |= environment(settings) | {"COLUMNS": "200"}
    try:
        with redirect_stdout(out), redirect_stderr(errors):
            main([*arguments])
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        os.environ.clear()
        os.environ |= before
        signal.signal(signal.SIGTERM, handler)
        structlog.configure(**logger)
        torch.set_flush_denormal(False)
    assert isinstance(code, int)
    return CompletedProcess(arguments, code, out.getvalue(), errors.getvalue())
