"""Applies records of the items topic, and counts and logs what of them cannot be used."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from streams.events.bounds import BadRecord
from streams.events.catalogue import KEY, Catalogue
from streams.events.item_aliases import PROPERTIES
from streams.events.item_keys import id_of_key
from streams.events.records import Item
from streams.wire.record import KafkaRecord

log = structlog.get_logger(__name__)

FIELDS = (*Item.__struct_fields__, PROPERTIES, KEY)
FIELD_VALUES = ", ".join(f"`{name}`" for name in FIELDS[1:]) + " (the record key is not the id)"
"""The values of the label ``field`` of dropped fields. ``item_id`` is never dropped."""


class ItemMetrics:
    """The catalogue of items."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.catalogue = Gauge("ouzel_catalogue_items", "Items in the catalogue.", registry=registry)
        self.refused = Counter(
            "ouzel_refused_items", "Records that are neither an item nor a removal; ignored.", ["reason"], registry=registry
        )
        self.dropped = Counter(
            "ouzel_dropped_item_fields", "Fields that could not be read of items that were otherwise read.", ["field"],
            registry=registry,
        )  # fmt: skip

    def count_refused(self, reason: str) -> None:
        """Count a refused record."""
        self.refused.labels(reason).inc()

    def count_dropped(self, field: str, items: int) -> None:
        """Count a field that was dropped of some items."""
        self.dropped.labels(field).inc(items)


class ItemReader:
    """Applies records of the items topic to a catalogue.

    ``refused`` is called with the reason of each record that is no item. ``dropped`` is called with
    a field and the number of items of which it was dropped.
    """

    def __init__(self, catalogue: Catalogue, refused: Callable[[str], None], dropped: Callable[[str, int], None]) -> None:
        self._catalogue, self._refused, self._dropped = catalogue, refused, dropped

    def take(self, records: Sequence[KafkaRecord]) -> None:
        """Apply records of one partition, in order.

        Logs each refused record, and for each field that was dropped the first item and the number
        of items.
        """
        dropped: Tally[str] = Tally()
        first: dict[str, dict[str, object]] = {}
        for record in records:
            try:
                applied = self._catalogue.apply(record.key, record.value)
            except BadRecord as bad:
                self._refused(bad.reason)
                log.warning("bad_item", field=_field(bad), **_of(record, None, bad))
                continue
            for field, why in applied.dropped.items():
                dropped[field] += 1
                first.setdefault(field, _of(record, applied.item_id, why))
        for field, count in dropped.items():
            self._dropped(field, count)
            log.warning("item_field_dropped", field=field, items=count, **first[field])


def _of(record: KafkaRecord, item_id: str | None, bad: BadRecord) -> dict[str, object]:
    """Return the fields of a log line about a record. The key may name an item that is unknown."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "item_id": item_id or id_of_key(record.key),
        "reason": bad.reason,
        "detail": bad.detail,
    }


def _field(bad: BadRecord) -> str | None:
    """Return the field at fault, if there is one: see `BadRecord`."""
    name = bad.detail.partition(" ")[0].rstrip(":")
    return name if name in FIELDS else None
