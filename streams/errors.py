"""The errors that Ouzel raises on purpose, in one tree.

    OuzelError
    ├── Refused      Restarting does not help: a person has to change something. Exit code 2.
    ├── KafkaAway    Kafka does not answer, or did not confirm. Loops retry; a command exits with 1.
    ├── BadData      Bytes that cannot be used: counted, reported with a reason, and skipped.
    └── Abandoned    The group has rebalanced, so the unit of work is given up.

An error belongs to the module that raises it and derives from one of these.
"""

from __future__ import annotations

from typing import ClassVar

OK = 0
FAILED = 70
"""EX_SOFTWARE of sysexits: the process may be restarted."""


class OuzelError(Exception):
    """Base of all. ``exit_code`` is that of a process which ends because of it."""

    exit_code: ClassVar[int] = FAILED


class Refused(OuzelError):
    """Restarting does not help: a setting, a topic, a permission or a stored position has to change first."""

    exit_code = 2


class KafkaAway(OuzelError):
    """Kafka does not answer, or did not confirm in time. Retry."""

    exit_code = 1


class BadData(OuzelError):
    """Bytes from a topic, a socket or a file that cannot be used. The next record is unharmed."""


class Abandoned(OuzelError):
    """The group has rebalanced: the unit of work is given up unacknowledged, and its records come again."""
