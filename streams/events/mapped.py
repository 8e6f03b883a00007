"""The paths of the settings `field_mapping` and `field_filter` in a record. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streams.events.aliases import Fields, Path, at_path
from streams.events.bounds import LONG_INTEGER, BadRecord, JsonObject, kind_of
from streams.events.notes import Kind, Note

FIRST = 1000
"""After this many events, a path that was in none of them is reported."""
SHOWN = 20
"""Names of fields that a report shows of an event."""
Filter = Mapping[Path, frozenset[str]]


def passes(raw: Fields, wanted: Filter) -> bool:
    """Tell whether the record has one of the wanted texts at each path of the filter."""
    return all(_as_text(at_path(raw, path)) in texts for path, texts in wanted.items())


class MappedFields:
    """Counts the mapped fields that events lack, and reports a path that is in none of the first.

    The decoder calls `look` with each record that the mapping applies to. ``report`` is called once
    for each field that none of the first 1000 events has, with a message of one line.
    """

    def __init__(self, mapping: Mapping[str, str], report: Callable[[str], None]) -> None:
        self._paths, self._report = mapping, report
        self._unseen, self._events = set(mapping), 0
        self._sample: Fields = {}

    def look(self, raw: Fields, events: Sequence[JsonObject]) -> list[Note]:
        """Return a note for each mapped field that one of the record's events lacks."""
        missing = [_MISSING[name] for fields in events for name in self._paths if fields[name] is None]
        if self._unseen:
            self._unseen -= {name for fields in events for name in self._unseen if fields[name] is not None}
            before, self._sample = self._events, raw
            self._events += len(events)
            if before < FIRST <= self._events:
                for message in self.unseen:
                    self._report(message)
        return missing

    def explained(self, bad: BadRecord, notes: Sequence[Note]) -> BadRecord:
        """Return the error, with the paths at which the fields are missing that it names."""
        missing = [note for note in notes if note.kind is Kind.MISSING]
        named = [f"{note.value} is at {self._paths[note.value]}" for note in missing if note.value in bad.detail]
        if not missing:
            return bad
        explained = BadRecord(bad.reason, "; ".join((bad.detail, *named)))
        explained.notes = missing
        return explained

    @property
    def unseen(self) -> list[str]:
        """A message for each mapped field that no event had so far; none before the first event."""
        names = [str(name)[:50] for name in self._sample]
        has = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        return [
            f"field_mapping: {name} is at {self._paths[name]}, which none of {self._events} events has; one has the fields {has}"
            for name in self._paths
            if name in self._unseen and self._events
        ]


def filter_of(setting: Mapping[str, Sequence[object]], parts: Callable[[str], Path]) -> Filter:
    """Return the filter that a setting declares."""
    return {parts(path): frozenset(map(_as_text, values)) for path, values in setting.items()}


def _as_text(value: object) -> str:
    """Return a value as JSON has it, but texts without quotes: ``true``, ``null``, ``3``, ``c``.

    A filter contains no other values, and a user's decoder may return any object.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= LONG_INTEGER:
        return kind_of(value)
    return str(value) if isinstance(value, str | int | float) else kind_of(value)


class _Missing(dict[str, Note]):
    def __missing__(self, name: str) -> Note:
        return self.setdefault(name, Note(Kind.MISSING, name))


_MISSING = _Missing()
