"""Each method of Faust's and aiokafka's that is overridden or wrapped is as it was when the override was written."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from aiokafka.producer.sender import AddPartitionsToTxnHandler, Sender, TxnOffsetCommitHandler
from faust import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer
from faust.transport.drivers import aiokafka as driver
from mode import Service

OVERRIDDEN = {
    Consumer: (
        "_drain_messages",
        "getmany",
        "on_buffer_full",
        "on_buffer_drop",
        "ack",
        "perform_seek",
        "on_partitions_revoked",
        "_filter_tps_with_pending_acks",
        "_new_offset",
        "_add_gap",
        "_commit_offsets",
        "wait_empty",
    ),
    App: ("_on_partitions_revoked",),
    Service: ("crash", "_crash"),
    driver.AIOKafkaConsumerThread: ("_create_worker_consumer", "_highwaters", "getmany", "on_start", "on_partitions_assigned"),
    driver.Producer: ("_settings_extra", "_new_producer"),
    Recovery: ("on_rebalance", "_seek_offsets", "on_recovery_completed"),
    TableManager: ("recovery",),
    Sender: ("_send_produce_req", "_do_add_partitions_to_txn", "_do_txn_offset_commit"),
    MessageAccumulator: ("reenqueue",),
    AddPartitionsToTxnHandler: ("handle_response",),
    TxnOffsetCommitHandler: ("create_request", "handle_response"),
    BatchBuilder: ("append", "record_count"),
    Fetcher: ("end_offsets",),
    GroupCoordinator: ("_do_heartbeat",),
}
KNOWN = Path(__file__).with_suffix(".json")


def digests() -> dict[str, str]:
    found = {}
    for owner, names in OVERRIDDEN.items():
        for name in names:
            member = inspect.getattr_static(owner, name)
            source = inspect.getsource(member.fget if isinstance(member, property) else member)
            found[f"{owner.__module__}.{owner.__qualname__}.{name}"] = hashlib.sha256(source.encode()).hexdigest()[:16]
    return found


def test_upstream_has_not_changed_under_our_overrides() -> None:
    changed = {name for name, digest in digests().items() if json.loads(KNOWN.read_text()).get(name) != digest}
    assert not changed, "upstream changed: read the new source, mend the override, then write digests() to test_upstream.json"
