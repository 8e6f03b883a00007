"""Child processes with their own log files, which end when their parent ends."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from streams.observing.memory import resident_bytes

STOP_WITHIN_S = 10.0
_PR_SET_PDEATHSIG = 1
_LISTENING_PORTS = range(12_000, 32_768)


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that are free now.

    They lie outside the ranges from which systems take ports for connections (from 32768 on Linux,
    from 49152 elsewhere), so none can become the port of a connection before its process listens.
    """
    ports: list[int] = []
    for port in random.sample(_LISTENING_PORTS, len(_LISTENING_PORTS)):
        if len(ports) == count:
            break
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports


def _dies_with(parent: int) -> Callable[[], None]:
    """Return a function for the child to call between fork and exec.

    It puts the child into its own session, and on Linux makes the kernel send SIGTERM to the child
    when the parent ends in any way.
    """
    libc = ctypes.CDLL(None)  # loaded before the fork: the child should do as little as possible

    def prepare() -> None:
        os.setsid()
        if hasattr(libc, "prctl"):
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before prctl

    return prepare


class Child:
    """A process that runs while its context is entered; the terminal's Ctrl-C does not reach it."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Child:
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                preexec_fn=_dies_with(os.getpid()),  # noqa: PLW1509  it takes no locks
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id. Only valid once the context has been entered."""
        assert self._process is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status: ``None`` while it runs, negative if a signal ended it."""
        return None if self._process is None else self._process.poll()

    @property
    def memory(self) -> int:
        """Its resident memory in bytes; 0 if it has ended or the system does not tell."""
        if (resident := resident_bytes(self.pid)) is not None:
            return resident
        command = ["ps", "-o", "rss=", "-p", str(self.pid)]
        with suppress(OSError, ValueError):
            return int(subprocess.run(command, capture_output=True, text=True, check=False).stdout) * 1024
        return 0

    def stop(self, within_s: float = STOP_WITHIN_S) -> int | None:
        """Send SIGTERM, and after ``within_s`` SIGKILL to it and its own children.

        Returns the exit status.
        """
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(within_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return process.returncode

    def kill(self) -> None:
        """Send SIGKILL to it and its own children."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
