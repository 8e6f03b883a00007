"""The brokers that Ouzel starts: they answer, stop, and never outlive their parent."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer
from support.processes.running import fresh_settings, wait_until

from serving.demo.brokers import ApacheBroker, BrokerError, EmbeddedBroker, new_cluster_id
from streams.kafka.topic_checks import check_topics
from streams.kafka.topics import create_topics


def test_a_record_can_be_written_and_read(broker: str, tmp_path: Path) -> None:
    settings = fresh_settings(broker, tmp_path)
    create_topics(settings)
    assert check_topics(settings) == []
    producer = KafkaProducer(bootstrap_servers=broker)
    producer.send(settings.topic("events"), key=b"u", value=b"v").get(timeout=10)
    producer.close()
    consumer = KafkaConsumer(
        settings.topic("events"), bootstrap_servers=broker, auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    record = next(iter(consumer))
    consumer.close()
    assert (record.key, record.value) == (b"u", b"v")


@pytest.mark.broker
def test_leaving_the_context_stops_the_process_and_removes_its_files() -> None:
    with EmbeddedBroker() as broker:
        assert broker.alive
        folder = broker.folder
    assert not broker.alive
    assert not folder.exists()


@pytest.mark.broker
def test_two_brokers_run_side_by_side() -> None:
    with EmbeddedBroker() as one, EmbeddedBroker() as other:
        assert one.bootstrap != other.bootstrap
        assert one.alive
        assert other.alive


PARENT = """
import time
from serving.demo.brokers import EmbeddedBroker
with EmbeddedBroker() as broker:
    print(broker.child.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a child when its parent ends")
@pytest.mark.broker
def test_the_broker_dies_with_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)

    wait_until(lambda: not _runs(child), "the broker has ended", 15)


def test_the_id_of_a_cluster_has_kafkas_form_and_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    for random in (b"\xfb" * 16, b"\xff" * 16):
        monkeypatch.setattr("serving.demo.brokers.uuid.uuid4", lambda made=random: uuid.UUID(bytes=made))
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", new_cluster_id())


def test_a_wrong_kafka_home_is_an_error_that_names_it() -> None:
    with pytest.raises(BrokerError, match="KAFKA_HOME"), ApacheBroker(Path("nowhere")):
        pass


def _runs(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
