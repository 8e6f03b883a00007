"""The exit code of each error, from a command and from a worker before and at work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from aiokafka.errors import KafkaConnectionError
from kafka.errors import KafkaTimeoutError
from structlog.testing import capture_logs
from support.processes.running import fresh_settings

from deploy.prometheus.server import PrometheusError
from serving import cli
from serving.demo.brokers import BrokerError
from serving.demo.stage import DemoError
from serving.errors import CliError
from serving.key_file import KeysError, KeysNotWritten
from serving.state.cache import NoRanking
from streams.data_dir import DiskFailed
from streams.delivery.foreign import ChangelogReplaced
from streams.engine.custody import CustodyBroken
from streams.errors import Abandoned, BadData, KafkaAway, OuzelError, Refused, exit_code_at_work
from streams.events.bounds import BadRecord
from streams.kafka.connection import NoBroker
from streams.kafka.membership import InstanceTaken
from streams.kafka.oauth import TokenAway, TokenRefused
from streams.kafka.partitions import PartitionsGrown
from streams.kafka.permissions import NotAllowed
from streams.kafka.positions import LogWentBack, PositionAhead
from streams.kafka.producing import DeliveryError
from streams.kafka.topics import MissingTopics, TopicsError
from streams.learning.model_log import SnapshotRefused
from streams.learning.model_updates import UpdateRefused
from streams.sessions.step import NewerState
from streams.settings import SettingsError
from streams.tools.text import FileError
from streams.worker import Worker, run_worker

ROOT = Path(__file__).parents[2]
TRACEBACK = None
"""The command ends with Python's traceback, and Python's exit code 1."""
LEFT = None
"""`run_worker` raises it, for the command line to print."""

# The error, and the exit code of a command, of a worker that cannot begin, and of one at work.
CODES = [
    (CliError, 1, 70, 70),
    (BrokerError, 1, 70, 70),
    (DemoError, 1, 70, 70),
    (PrometheusError, 1, 70, 70),
    (SettingsError, 2, LEFT, 70),
    (TokenRefused, 2, LEFT, 70),
    (NoBroker, 1, LEFT, 70),
    (TokenAway, 1, LEFT, 70),
    (TopicsError, 1, LEFT, 70),
    (MissingTopics, 2, LEFT, 2),
    (DeliveryError, 1, LEFT, 70),
    (NewerState, 2, 2, 2),
    (ChangelogReplaced, 2, 2, 2),
    (PositionAhead, 2, 2, 2),
    (NotAllowed, 2, 2, 2),
    (DiskFailed, 2, 2, 2),
    (KeysError, 2, 2, 2),
    (KeysNotWritten, 2, 2, 2),
    (FileError, 2, 2, 2),
    (BadRecord, 1, 70, 70),
    (SnapshotRefused, 1, 70, 70),
    (UpdateRefused, 1, 70, 70),
    (NoRanking, 1, 70, 70),
    (Abandoned, 1, 70, 70),
    (CustodyBroken, 1, 70, 70),
    (LogWentBack, 1, 70, 70),
    (KafkaTimeoutError, 1, 70, 70),
    (KafkaConnectionError, 1, 70, 70),
    (ValueError, TRACEBACK, 70, 70),
]
TREE = {
    Refused: {
        SettingsError,
        NewerState,
        ChangelogReplaced,
        PositionAhead,
        NotAllowed,
        KeysError,
        FileError,
        DiskFailed,
        InstanceTaken,
        PartitionsGrown,
        MissingTopics,
    },
    SettingsError: {TokenRefused},
    KeysError: {KeysNotWritten},
    KafkaAway: {NoBroker, DeliveryError, TokenAway},
    BadData: {BadRecord, SnapshotRefused, UpdateRefused, NoRanking},
    OuzelError: {Refused, KafkaAway, BadData, Abandoned, CliError, TopicsError, CustodyBroken, LogWentBack},
    CliError: {BrokerError, DemoError, PrometheusError},
}


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, code, _, _ in CODES])
def test_a_command_ends_with_one_line_and_the_code_of_the_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[Exception], code: int | None
) -> None:
    def build() -> typer.Typer:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def fail() -> None:
            raise kind("gone")

        return app

    monkeypatch.setattr(cli, "build", build)
    if code is TRACEBACK:
        with pytest.raises(kind):
            cli.main([])
        return
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == code
    printed = capsys.readouterr().err
    assert printed.startswith("ouzel: ")
    assert "gone" in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, _, code, _ in CODES])
def test_a_worker_that_cannot_begin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[Exception], code: int | None
) -> None:
    async def run(self: Worker) -> int:
        raise kind("gone")

    monkeypatch.setattr(Worker, "run", run)
    settings = fresh_settings("127.0.0.1:1", tmp_path)
    if code is LEFT:
        with pytest.raises(kind):
            run_worker(settings)
        return
    with capture_logs() as lines:
        assert run_worker(settings) == code
    (line,) = lines
    assert (line["event"], line["log_level"]) == ("refused" if code == 2 else "failed", "error")
    assert "gone" in line["reason" if code == 2 else "error"]


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, _, _, code in CODES])
async def test_a_worker_at_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: type[Exception], code: int) -> None:
    ended: list[int] = []
    monkeypatch.setattr("streams.worker.os._exit", ended.append)
    with capture_logs() as lines:
        Worker(fresh_settings("127.0.0.1:1", tmp_path)).fail(kind("gone"))
    assert ended == [code] == [exit_code_at_work(kind("gone"))]
    assert [line["event"] for line in lines] == ["refused" if code == 2 else "failed"]


def test_each_error_derives_from_its_branch() -> None:
    for parent, children in TREE.items():
        assert [child for child in children if parent not in child.__bases__] == []


def test_no_error_is_outside_the_tree() -> None:
    """`SnapshotError` is of models, which may not import streams. The others are HTTP answers."""
    classes = set[str]()
    for folder in ("streams", "serving", "models", "deploy"):
        for path in (ROOT / folder).rglob("*.py"):
            classes |= set(re.findall(r"^class (\w+)\((?:Base)?Exception\)", path.read_text(), re.MULTILINE))
    assert classes == {"OuzelError", "SnapshotError", "Problem", "Refusal"}


def test_bad_data_has_a_reason_and_a_short_detail_that_any_header_takes() -> None:
    bad = BadData("wrong_type", "\ud800" + "x" * 1000)
    assert bad.reason == "wrong_type"
    assert len(bad.detail) == 200
    assert bad.detail.encode()
    assert str(bad) == f"wrong_type: {bad.detail}"
    assert str(BadData("empty")) == "empty"
