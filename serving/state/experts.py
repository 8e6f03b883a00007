"""The experts of a server. They start from the newest snapshot and then follow the transitions.

They count and rank in a model thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from models.panel import Panel
from models.state import part
from models.transition import Transitions
from serving.state.telemetry import ServingTelemetry
from streams.errors import BadData
from streams.kafka.connection import aiokafka_config
from streams.kafka.follower import Follower
from streams.kafka.refusing import refusing as refusing_records
from streams.learning.model_log import Manifest, SnapshotRefused
from streams.learning.model_thread import ModelThread
from streams.learning.restoring import read, read_header, refusing
from streams.learning.snapshot_log import RefusedRecord, SnapshotLog
from streams.learning.snapshots import log_refused, read_snapshot_log, start_in_log
from streams.learning.steps import add
from streams.learning.transitions import transition_of
from streams.settings import Settings
from streams.wire.record import KafkaRecord

RECORDS = 500
"""Maximum number of transitions that are counted at once, while questions wait."""
REST_S = 0.1
MEMORY = "memory."
"""How the names of the experts' arrays in a snapshot begin."""
T = TypeVar("T")


class Experts:
    """A `Panel`, its thread, and the follower that feeds it. Create it with `restored`.

    The service runs `follower`; requests call `ask`. Both run on one event loop.
    """

    def __init__(self, settings: Settings, telemetry: ServingTelemetry, panel: Panel, start: int | None) -> None:
        self._panel, self._telemetry, self._thread = panel, telemetry, ModelThread()
        self.follower = Follower(
            settings.topic("transitions"), aiokafka_config(settings), self._apply, max_records=RECORDS, start=start, rest_s=REST_S
        )

    @classmethod
    async def restored(cls, settings: Settings, telemetry: ServingTelemetry) -> Experts:
        """Restore the counts of the newest snapshot, whatever its model; start empty without one.

        Raises `PositionAhead` if the transitions log was deleted or recreated since the snapshot.
        """
        panel, manifest = await newest_panel(await read_snapshot_log(settings), settings, telemetry)
        start = await start_in_log(settings, manifest.transitions_offset) if manifest is not None else None
        if panel is None:
            panel = Panel(settings.max_items)
        experts = cls(settings, telemetry, panel, start)
        await experts.ask(Panel.warmup)
        return experts

    async def ask(self, question: Callable[[Panel], T]) -> T:
        """Call a function with the panel in the model thread."""
        return await self._thread.run(partial(question, self._panel))

    async def _apply(self, records: Sequence[KafkaRecord]) -> None:
        batch = Transitions()
        with refusing_records("no_transitions", self._telemetry.refused_records.labels("transitions").inc) as refuse:
            for record in records:
                try:
                    add(batch, transition_of(record))
                except BadData as bad:
                    refuse(record, bad)
        await self._thread.run(partial(self._panel.follow, batch))


async def newest_panel(
    snapshots: SnapshotLog, settings: Settings, telemetry: ServingTelemetry
) -> tuple[Panel | None, Manifest | None]:
    """Return the experts of the newest usable snapshot and its manifest.

    Both are ``None`` if there is no usable snapshot, or if its model has no experts.
    """
    panel, manifest, refused = None, None, list(snapshots.refused)
    for stored in snapshots.newest_first():
        try:
            data = await asyncio.to_thread(stored.load, check_panel)
            panel = await asyncio.to_thread(restore_panel, data, settings.max_items)
        except SnapshotRefused as error:
            refused.append(RefusedRecord(stored.last, f"snapshot {stored.manifest.snapshot}: {error}"))
            continue
        manifest = stored.manifest if panel is not None else None
        break
    for record in refused:
        log_refused(settings, record)
        telemetry.refused_records.labels("model").inc()
    return panel, manifest


def restore_panel(data: bytes, max_items: int) -> Panel | None:
    """Return the experts of a snapshot of any model, or ``None`` if that model has none.

    Raises `SnapshotRefused`.
    """
    memory = part(read(data)[1], "memory")
    return _restored(memory, max_items) if "rows.item" in memory else None


_restored = refusing(Panel.restored)


@refusing
def check_panel(start: bytes, size: int) -> None:
    """Check the start of a snapshot of any model, as `check_start` does for one that is built.

    Raises `SnapshotRefused`. A server does not build the model: that would import PyTorch.
    """
    header = read_header(start)
    if header.size != size:
        raise SnapshotRefused("incomplete", f"its header asks for {header.size} bytes, it has {size}")
    memory = {name.removeprefix(MEMORY): layout for name, layout in header.arrays.items() if name.startswith(MEMORY)}
    if "rows.item" in memory:
        Panel.like(memory)
