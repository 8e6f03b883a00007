"""The life of a worker, as states.

    starting --> joining --> recovering --> working --> leaving --> stopped
                    ^                          |
                    +------- rebalance --------+

    starting    Check topics and permissions, restore the model from its snapshot, and follow
                `items`, `transitions` and `model-updates` to their ends. No group yet.
                Ends in joining, or in stopped where something is refused.
    joining     Wait for the consumer group to assign partitions. The unit of a previous
                assignment finishes first, or is abandoned.
    recovering  Read the changelogs of new partitions into RocksDB. No events flow.
    working     Take units of work through the journey. A rebalance leads back to joining.
    leaving     SIGTERM or SIGINT came: poll no more, finish the unit, commit, leave the group.
                Every state before leads here; errors of background tasks are ignored from now on.
    stopped     The process ends with an exit code of `streams.errors`.

An error in any state ends the process at once, without a commit (`Worker.fail`): the same records
come again after the next start.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a worker stands in its life; see the module's docstring for the transitions."""

    STARTING = "starting"
    JOINING = "joining"
    RECOVERING = "recovering"
    WORKING = "working"
    LEAVING = "leaving"
    STOPPED = "stopped"
