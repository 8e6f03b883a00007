"""The errors that Ouzel raises on purpose, in one tree, and the exit codes they lead to.

                          exit code of a command      exit code of a worker or a
                          or of a start that fails    server that ends at work
    OuzelError            1                           70
    ├── Refused           2                           2
    │   └── SettingsError 2                           70
    ├── NothingRead       1                           70
    ├── KafkaAway         1                           70
    ├── BadData           1                           70
    └── Abandoned         1                           70

The modules that raise errors derive their own classes from these. Any other exception is a bug in
Ouzel or comes from a library: it ends a worker or a server with 70, and a command with a traceback,
except that a command exits with 1 for an error of a Kafka client. Dead letters, counters and HTTP
answers use `BadData.reason`.
"""

from __future__ import annotations

OK = 0
FAILED = 70
"""EX_SOFTWARE of sysexits: restarting the process may help."""

DETAIL_CHARACTERS = 200


class OuzelError(Exception):
    """Base of all errors. The message is one line for the person who runs Ouzel.

    A message of several lines, such as the end of a log, has an argument for each line: a newline
    inside an argument comes from a value, and is escaped when it is printed.
    """

    exit_code = 1
    """Exit code of a command, or of a worker or server that has not begun its work."""
    exit_code_at_work = FAILED
    """Exit code of a worker or server that has begun."""

    @property
    def lines(self) -> list[str]:
        """The lines of the message."""
        return [str(line) for line in self.args]

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Refused(OuzelError):
    """Restarting does not help: a person has to change something first.

    The cause may be an option, a setting, a file, a topic, a permission or stored state.
    """

    exit_code = 2
    exit_code_at_work = 2


class NothingRead(OuzelError):
    """The input of a command has nothing that it can use: no event, or a model without items."""


class KafkaAway(OuzelError):
    """Kafka does not answer, or does not confirm a record in time. Loops retry."""


class BadData(OuzelError):
    """Bytes of a topic, a request or a file cannot be used. Other records are not affected.

    ``reason`` is one word of a small set, fit for a metric's label or a header. ``detail`` is for
    people: at most 200 characters, all of them encodable, as it may quote the bytes.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        detail = detail[:DETAIL_CHARACTERS].encode(errors="replace").decode()  # it may quote lone surrogates
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Abandoned(OuzelError):
    """The group has rebalanced, so the unit of work is abandoned.

    It is not acknowledged, and its records are read again.
    """


def exit_code_at_work(error: BaseException) -> int:
    """Return the exit code of a worker or server that ends at work because of ``error``."""
    return error.exit_code_at_work if isinstance(error, OuzelError) else FAILED
