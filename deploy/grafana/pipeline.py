"""Pipeline: one event's journey, from the poll to the commit, and what it runs on."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.board import Row, board
from deploy.grafana.panels import BAD, GOOD, Panel, falling, heat, lines, rising, stack, states, tile
from deploy.grafana.promql import mean, quantile, rate, series, share, total

FRESHNESS, OWN_FRESHNESS, UNIT = "ouzel_freshness_seconds", "ouzel_event_freshness_seconds", "ouzel_unit_size"
YES_NO = {0: ("no", BAD), 1: ("yes", GOOD)}


def pipeline() -> Dashboard:
    """For whoever keeps it running."""
    tells = "One event's journey: how much, how fresh, where the time goes; the consumer group, the sessions, the disk."
    rows = [
        Row("", _tiles()),
        Row("Events", _events()),
        Row("Freshness", _freshness()),
        Row("Where a unit's time goes", _time()),
        Row("Consumer group", _group()),
        Row("Sessions and disk", _sessions()),
        Row("What should not happen", _troubles(), folded=True),
        Row("Processes", _processes(), folded=True),
    ]
    return board("Pipeline", tells, rows)


def outcomes() -> Panel:
    """What became of every record."""
    return stack(
        "Events by outcome",
        "Late: earlier than the session's last event. Duplicate: this event id was seen. Replayed: came again after a crash.",
        (rate("ouzel_events_total", "outcome"), "{{outcome}}"), unit="eps",
        colours={"accepted": GOOD, "dead_letter": BAD, "late": "yellow", "replayed": "text"},
    )  # fmt: skip


def cpu(width: int = 8) -> Panel:
    """Of each process."""
    used = f"rate({series('process_cpu_seconds_total')}[$__rate_interval])"
    return lines("CPU", "Cores that each process uses.", (used, "{{job}} {{instance}}"), unit="cores", width=width)


def memory(width: int = 8) -> Panel:
    """Of each process."""
    resident = series("process_resident_memory_bytes")
    return lines("Memory", "Resident memory of each process.", (resident, "{{job}} {{instance}}"), unit="bytes", width=width)


def _tiles() -> Sequence[Panel]:
    dead = share("ouzel_dead_letters_total", "ouzel_events_total", of_whole='outcome!="replayed"')
    return [
        tile("Events", "Events processed per second.", rate("ouzel_events_total", where='outcome!="replayed"'), unit="eps"),
        tile("Recommendations", "Rankings published per second.", rate("ouzel_recommendations_total"), unit="recps"),
        tile("Freshness, p50", "From an event's Kafka time to its recommendation.", quantile(0.5, FRESHNESS), unit="s"),
        tile("Freshness, p99", "The objective is 1 s.", quantile(0.99, FRESHNESS), unit="s", limits=rising(0.5, 1)),
        tile(
            "Events waiting", "Events of the log that are not done yet.", total("ouzel_consumer_lag"), limits=rising(1000, 10_000)
        ),
        tile(
            "Oldest waiting", "Age of the first event that is not committed.",
            f"max({series('ouzel_oldest_uncommitted_age_seconds')})", unit="s", limits=rising(10, 60),
        ),
        tile("Dead letters", "Share of the records that were no event.", dead, unit="percentunit", limits=rising(0.01, 0.05)),
        tile(
            "Rebalances, last hour", "How often the busiest worker's group rebalanced. A deploy makes a few.",
            f"max(increase({series('ouzel_rebalances_total')}[1h]))", decimals=0, limits=rising(6, 30),
        ),
    ]  # fmt: skip


def _events() -> Sequence[Panel]:
    return [
        stack(
            "By type", "Events processed, by what the user did.", (rate("ouzel_events_total", "event_type"), "{{event_type}}"),
            unit="eps",
        ),
        outcomes(),
        stack(
            "Dead letters by reason", "Records that were no event. `ouzel dead-letters` shows them. Empty is good.",
            (f"{rate('ouzel_dead_letters_total', 'reason')} > 0", "{{reason}}"), unit="eps",
        ),
    ]  # fmt: skip


def _freshness() -> Sequence[Panel]:
    return [
        heat(
            "Freshness", "How many recommendations came how long after their event's Kafka time.",
            f"sum by (le) (increase({series(FRESHNESS + '_bucket')}[$__rate_interval]))",
        ),
        lines(
            "Quantiles",
            "From the event's Kafka time, and from its own timestamp: what is between the two passed before Kafka. A replay of "
            "old data has old timestamps.",
            (quantile(0.5, FRESHNESS), "p50"), (quantile(0.99, FRESHNESS), "p99"),
            (quantile(0.5, OWN_FRESHNESS), "p50, own timestamp"), (quantile(0.99, OWN_FRESHNESS), "p99, own timestamp"),
            unit="s", width=12, log=True, limits=rising(1, 1), dashed=("p50, own timestamp", "p99, own timestamp"),
            colours={"p50": "light-blue", "p99": "purple", "p50, own timestamp": "light-blue", "p99, own timestamp": "purple"},
        ),
    ]  # fmt: skip


def _time() -> Sequence[Panel]:
    stage = "ouzel_stage_seconds"
    per_unit = f"{rate(stage + '_sum', 'stage')} / on () group_left () {rate(UNIT + '_count')}"
    return [
        stack("Stages, mean of a unit",
              "Time of each stage of a unit of work: the sum is a unit's.", (per_unit, "{{stage}}"), unit="s"),
        lines("Stages, p99", "The slowest of a hundred.", (quantile(0.99, stage, "stage"), "{{stage}}"), unit="s", log=True),
        lines(
            "Delivery, p99", "From sending a part of a unit to its confirmation by all replicas: mostly Kafka's own time.",
            (quantile(0.99, "ouzel_delivery_seconds", "part"), "{{part}}"), unit="s", log=True,
        ),
        lines(
            "Events in a unit", "Units grow by themselves under load, up to max_poll_records.",
            (mean(UNIT), "mean"), (quantile(0.99, UNIT), "p99"), width=6, colours={"mean": "light-blue", "p99": "purple"},
        ),
        lines("Units", "Polls that brought events, per second.", (rate(UNIT + "_count"), "units"), unit="ops", width=6),
        lines(
            "Commit, p99", "Time of one commit of offsets.", (quantile(0.99, "ouzel_commit_seconds"), "p99"), unit="s", width=6
        ),
        lines(
            "Event loop's delay", "How late the loop was. What blocks it delays everything, heartbeats too.",
            (series("ouzel_event_loop_delay_seconds"), "{{instance}}"), unit="s", width=6,
        ),
    ]  # fmt: skip


def _group() -> Sequence[Panel]:
    rebalance = "ouzel_rebalance_seconds"
    return [
        lines(
            "Waiting, by partition", "Events of each partition that are not done yet.",
            (total("ouzel_consumer_lag", "partition"), "{{partition}}"),
        ),
        lines(
            "Oldest waiting, by partition",
            "Age of the first event that is not committed. One line alone: that partition stands still.",
            (f"max by (partition) ({series('ouzel_oldest_uncommitted_age_seconds')})", "{{partition}}"), unit="s",
        ),
        lines(
            "Commits, by partition", "Offsets committed per second: how fast each partition is worked off.",
            (f"sum by (partition) (deriv({series('ouzel_committed_offset')}[$__rate_interval]))", "{{partition}}"), unit="eps",
        ),
        stack(
            "Partitions, by worker", "Who has how many of the events' partitions.",
            (series("ouzel_assigned_partitions"), "{{instance}}"), width=6,
        ),
        states(
            "Membership is fresh", "Without a recent heartbeat a worker sends nothing: its lease.",
            (series("ouzel_lease_fresh"), "{{instance}}"), says=YES_NO, width=6,
        ),
        lines(
            "Rebalances", "How often, and how long events stood still in the mean.",
            (f"max(increase({series('ouzel_rebalances_total')}[$__rate_interval]))", "rebalances"),
            (f"{mean(rebalance)} > 0", "seconds"), width=6,
        ),
        lines(
            "Recovery", "What it last took from an assignment until its sessions were there and events flowed.",
            (series("ouzel_recovery_seconds"), "{{instance}}"), unit="s", width=6,
        ),
    ]  # fmt: skip


def _sessions() -> Sequence[Panel]:
    free = f"{series('ouzel_disk_free_bytes')} / {series('ouzel_disk_size_bytes')}"
    return [
        stack(
            "Sessions held", "State keys in RocksDB, by its estimate.", (total("ouzel_sessions_held", "instance"),
            "{{instance}}"),
            width=6,
        ),
        lines(
            "Sessions expired", "State keys removed per second, after their time to live.",
            (rate("ouzel_sessions_expired_total", "instance"), "{{instance}}"), unit="ops", width=6,
        ),
        lines(
            "RocksDB", "Size on disk and in memory, and what compaction has still to rewrite.",
            (total("ouzel_rocksdb_size_bytes"), "files"), (total("ouzel_rocksdb_memory_bytes"), "memory"),
            (total("ouzel_rocksdb_pending_compaction_bytes"), "to compact"), unit="bytes", width=6,
        ),
        lines(
            "Disk free", "Share of the data directory's disk that is free. Dashed: the warning.", (free, "{{instance}}"),
            unit="percentunit", high=1, width=6, limits=falling(0.05, 0.15),
        ),
    ]  # fmt: skip


def _troubles() -> Sequence[Panel]:
    grows = (
        ("ouzel_units_abandoned_total", "units abandoned in a rebalance"),
        ("ouzel_foreign_writes_total", "foreign writes answered"),
        ("ouzel_refused_states_total", "states refused"),
        ("ouzel_refused_transitions_total", "transitions refused"),
        ("ouzel_produce_retries_total", "batches sent again"),
    )
    return [
        lines(
            "Rare events", "Each is handled, and none loses anything; many of one kind deserve a look.",
            *((rate(counter), name) for counter, name in grows), unit="ops",
        ),
        lines(
            "Delivery failures", "Parts of units that Kafka did not confirm; the unit comes again.",
            (rate("ouzel_delivery_failures_total", "part"), "{{part}}"), unit="ops",
        ),
        lines(
            "Foreign keys",
            "Events whose record key is not their user's: accepted, but a user's order is only kept within a key.",
            (rate("ouzel_foreign_keys_total", "kind"), "{{kind}}"), unit="eps",
        ),
        states(
            "RocksDB takes writes", "It stops them when compaction cannot keep up, or the disk is full.",
            (f"1 - max by (instance) ({series('ouzel_rocksdb_write_stopped')})", "{{instance}}"), says=YES_NO, width=24, height=5,
        ),
    ]  # fmt: skip


def _processes() -> Sequence[Panel]:
    collected = f"sum by (instance) (rate({series('python_gc_collections_total')}[$__rate_interval]))"
    return [
        cpu(6),
        memory(6),
        lines("Open files", "File descriptors.", (series("process_open_fds"), "{{job}} {{instance}}"), width=6),
        lines("Garbage collections", "Runs of Python's collector per second.", (collected, "{{instance}}"), unit="ops", width=6),
        lines(
            "Uptime", "Since each process started; a saw tooth is a restart loop.",
            (f"time() - {series('process_start_time_seconds')}", "{{job}} {{instance}}"), unit="s", width=24, height=6,
        ),
    ]  # fmt: skip
