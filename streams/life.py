"""The states in the life of a worker.

    starting --> joining --> recovering --> working --> leaving --> stopped
                    ^                          |
                    +------- rebalance --------+

    starting    Check topics and permissions, restore the model from its snapshot, and follow
                `items`, `transitions` and `model-updates` to their ends. The worker is not in the
                group yet. It goes on to joining, or to stopped if something is refused.
    joining     Wait for the consumer group to assign partitions. The unit of a previous
                assignment finishes first, or is abandoned.
    recovering  Read the changelogs of new partitions into RocksDB. No events are processed.
    working     Take units of work through the journey. A rebalance leads back to joining.
    leaving     After SIGTERM or SIGINT: stop polling, finish the unit, commit, leave the group.
                Every earlier state can lead here. Errors of background tasks are now ignored.
    stopped     The process ends with an exit code of `streams.errors`.

Any other error ends the process at once, without a commit (`Worker.fail`). The next start reads the
same records again.
"""

from __future__ import annotations

from enum import StrEnum


class WorkerState(StrEnum):
    """The state of a worker; the module's docstring describes the states and their order."""

    STARTING = "starting"
    JOINING = "joining"
    RECOVERING = "recovering"
    WORKING = "working"
    LEAVING = "leaving"
    STOPPED = "stopped"
