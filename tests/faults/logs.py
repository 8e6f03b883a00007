"""Topics that were deleted and created again, and records that Ouzel did not write.

A worker refuses the first and says what to do. The second do no harm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from faults.card import HYBRID, row
from faults.crashes import none
from faults.rig import Rig
from support.damage.hostile import hostile
from support.processes.running import wait_until

from streams.kafka.topics import admin, create_topics


def _refuses(topic: str) -> Callable[[Rig], bool]:
    """Make a check for `Row.after`, which deletes this topic and creates it again.

    It returns whether a worker then exits with code 2 and names `ouzel reset`.
    """

    def refuses(rig: Rig) -> bool:
        client: Any = admin(rig.settings)
        name = rig.settings.topic(topic)
        client.delete_topics([name])
        wait_until(lambda: name not in client.list_topics(), "the topic deleted", 30)
        client.close()
        create_topics(rig.settings)
        worker = rig.workers[0].start()
        assert worker.process is not None
        return worker.process.wait(60) == 2 and "ouzel reset" in worker.tail()

    return refuses


@row("foreign-records", **HYBRID, snapshot_every_s=1.0)
def foreign_records(rig: Rig) -> None:
    """Records on every topic that no reader can use, and kill -9 of a worker; 5 times.

    Every second time the worker also loses its disk, so it reads them all again.
    """
    for number in rig.times(5):
        rig.produce_foreign(hostile(rig.settings))
        victim = rig.workers[number % 2]
        began = time.monotonic()
        victim.kill()
        if number % 2 == 0:
            rig.wipe(victim)
        rig.restart(victim)
        rig.fresh_since(began)
        rig.ready()
    rig.events(20_000)


for _name, _topic in (("events", "events"), ("changelog", "sessions-changelog")):
    row(f"{_name}-made-anew", may_repeat=False, after=_refuses(_topic), workers=1)(none)
