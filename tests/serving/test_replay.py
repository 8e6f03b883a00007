"""What the commands that send events write, without a broker, and what a worker reads of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest
from support.recorded_files import written
from typer.testing import CliRunner

from serving.cli import build
from streams.events.records import Event
from streams.rules import event_decoder
from streams.settings import Settings

NOW = 1_795_000_000_000
OTHER_FORMS = Settings(
    time_unit="us", field_mapping={"item_id": "sku"}, field_filter={"op": ["c"]}, event_types={"view": "like"}, guests=["a"]
)
"""How a worker reads the events of another producer in the same topic."""


class FakeSender:
    """Keeps what is sent, in the place of a Kafka producer."""

    def __init__(self, sent: list[tuple[str, bytes, Sequence[tuple[str, bytes]]]]) -> None:
        self._sent = sent

    def __enter__(self) -> FakeSender:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass

    def send(self, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        self._sent.append((topic, value, headers))

    def flush(self) -> None:
        pass


class Sent:
    """Runs a command; ``waits`` are the pauses in seconds that it would have made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.records: list[tuple[str, bytes, Sequence[tuple[str, bytes]]]] = []
        self.waits: list[float] = []
        monkeypatch.setenv("OUZEL_DATA_DIR", str(folder / "data"))
        for command in ("replay", "simulate"):
            module = f"serving.commands.{command}"
            monkeypatch.setattr(f"{module}.Sender", lambda settings: FakeSender(self.records))
            monkeypatch.setattr(f"{module}.require_topics", lambda *_: None)
            monkeypatch.setattr(f"{module}.stop_signals", self._stopping)
            monkeypatch.setattr(f"{module}.time", SimpleNamespace(time=lambda: NOW / 1000, monotonic=lambda: 0.0))

    @contextlib.contextmanager
    def _stopping(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(wait=self.waits.append, is_set=lambda: False)

    def by(self, *words: str) -> str:
        result = CliRunner().invoke(build(), list(words), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    def events(self, settings: Settings | None = None) -> list[Event]:
        """The events as a worker with these settings reads them."""
        decoder, found = event_decoder(settings or Settings()), list[Event]()
        for offset, (topic, value, headers) in enumerate(self.records):
            place: Any = {"topic": topic, "partition": 0, "offset": offset, "timestamp_ms": NOW}
            if topic == Settings().topic("events"):
                found += decoder.decode(b"k", value, headers=headers, **place).events
        return found


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_settings: None) -> Sent:
    return Sent(monkeypatch, tmp_path)


@pytest.mark.parametrize("worker", [Settings(), OTHER_FORMS], ids=["default", "other forms"])
def test_relative_times_are_read_once_and_sent_as_milliseconds(sent: Sent, tmp_path: Path, worker: Settings) -> None:
    rows = ((541312257, 1004954, 0), (541312257, 1004884, 35), (541312400, 1004961, 449))
    text = "".join(f'{{"user_id": "{user}", "item_id": "{item}", "timestamp": {at}}}\n' for user, item, at in rows)
    assert sent.by("replay", str(written(tmp_path, "relative_s.jsonl", text)), "--time-unit", "s").startswith("replayed 3 events")
    assert [(one.item_id, one.timestamp) for one in sent.events(worker)] == [(str(item), at * 1000) for _, item, at in rows]


MICROSECONDS = '{"user_id":"a","item_id":"x","timestamp":1700000000000000}\n{"user_id":"a","item_id":"y","timestamp":%d}\n'


def test_microseconds_are_replayed_at_their_own_pace(sent: Sent, tmp_path: Path) -> None:
    sent.by("replay", str(written(tmp_path, "us2.jsonl", MICROSECONDS % 1_700_000_001_000_000)), "--speed", "1")
    assert sent.waits == [0.0, 1.0]
    assert [one.timestamp for one in sent.events()] == [1_700_000_000_000, 1_700_000_001_000]


def test_microseconds_are_shifted_to_now(sent: Sent, tmp_path: Path) -> None:
    sent.by("replay", str(written(tmp_path, "us3.jsonl", MICROSECONDS % 1_700_000_060_000_000)), "--shift-to-now")
    assert [one.timestamp for one in sent.events()] == [NOW, NOW + 60_000]


def test_the_events_of_the_simulated_shop_are_read_whatever_the_settings_for_others_are(sent: Sent) -> None:
    sent.by("simulate", "--events", "50", "--rate", "0")
    assert len(sent.events(OTHER_FORMS)) == 50
    assert sent.events(OTHER_FORMS) == sent.events()
