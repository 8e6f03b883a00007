"""The dashboard Pipeline: the journey of an event from poll to commit, and its resources."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.board import Row, board
from deploy.grafana.panels import BAD, GOOD, Panel, falling, heat, lines, rising, stack, states, tile
from deploy.grafana.promql import mean, quantile, rate, series, share, total

FRESHNESS, OWN_FRESHNESS, UNIT = "ouzel_freshness_seconds", "ouzel_event_freshness_seconds", "ouzel_unit_size"
YES_NO = {0: ("no", BAD), 1: ("yes", GOOD)}


def pipeline() -> Dashboard:
    """The dashboard for operators."""
    description = "The journey of an event: throughput, freshness and time per stage; the consumer group, sessions and disk."
    rows = [
        Row("", _tiles()),
        Row("Events", _events()),
        Row("Freshness", _freshness()),
        Row("Time per unit of work", _time()),
        Row("Consumer group", _group()),
        Row("Sessions and disk", _sessions()),
        Row("Problems", _problems(), folded=True),
        Row("Processes", _processes(), folded=True),
    ]
    return board("Pipeline", description, rows)


def outcomes() -> Panel:
    """The outcome of every record."""
    return stack(
        "Events by outcome",
        "Late: older than the session's last event. Duplicate: the event id was seen before. Replayed: read again after a crash.",
        (rate("ouzel_events_total", "outcome"), "{{outcome}}"), unit="eps",
        colours={"accepted": GOOD, "dead_letter": BAD, "late": "yellow", "replayed": "text"},
    )  # fmt: skip


def cpu(width: int = 8) -> Panel:
    """The CPU use of each process."""
    used = f"rate({series('process_cpu_seconds_total')}[$__rate_interval])"
    return lines("CPU", "Cores that each process uses.", (used, "{{job}} {{instance}}"), unit="cores", width=width)


def memory(width: int = 8) -> Panel:
    """The memory of each process."""
    resident = series("process_resident_memory_bytes")
    return lines("Memory", "Resident memory of each process.", (resident, "{{job}} {{instance}}"), unit="bytes", width=width)


def _tiles() -> Sequence[Panel]:
    dead = share("ouzel_dead_letters_total", "ouzel_events_total", of_whole='outcome!="replayed"')
    return [
        tile("Events", "Events processed per second.", rate("ouzel_events_total", where='outcome!="replayed"'), unit="eps"),
        tile("Recommendations", "Rankings published per second.", rate("ouzel_recommendations_total"), unit="recps"),
        tile("Freshness, p50", "Time from an event's Kafka timestamp to its recommendation.", quantile(0.5, FRESHNESS), unit="s"),
        tile("Freshness, p99", "Time from an event's Kafka timestamp to its recommendation. The objective is 1 s.",
             quantile(0.99, FRESHNESS), unit="s", limits=rising(0.5, 1)),
        tile(
            "Events waiting", "Events in Kafka that are not processed yet.",
            total("ouzel_consumer_lag"), limits=rising(1000, 10_000)
        ),
        tile(
            "Oldest event waiting", "Age of the oldest event that is not committed.",
            f"max({series('ouzel_oldest_uncommitted_age_seconds')})", unit="s", limits=rising(10, 60),
        ),
        tile("Dead letters", "Share of the records that are not valid events.", dead, unit="percentunit",
             limits=rising(0.01, 0.05)),
        tile(
            "Rebalances, last hour",
            "How often the consumer group rebalanced, as counted by the worker with the most. A deployment causes a few.",
            f"max(increase({series('ouzel_rebalances_total')}[1h]))", decimals=0, limits=rising(6, 30),
        ),
    ]  # fmt: skip


def _events() -> Sequence[Panel]:
    return [
        stack(
            "By type", "Events processed, by event type.", (rate("ouzel_events_total", "event_type"), "{{event_type}}"),
            unit="eps",
        ),
        outcomes(),
        stack(
            "Dead letters by reason", "Records that are not valid events. `ouzel dead-letters` shows them. It should be empty.",
            (f"{rate('ouzel_dead_letters_total', 'reason')} > 0", "{{reason}}"), unit="eps",
        ),
    ]  # fmt: skip


def _freshness() -> Sequence[Panel]:
    return [
        heat(
            "Freshness", "Number of recommendations by the time since their event's Kafka timestamp.",
            f"sum by (le) (increase({series(FRESHNESS + '_bucket')}[$__rate_interval]))",
        ),
        lines(
            "Freshness, quantiles",
            "Measured from the event's Kafka timestamp, and from its own timestamp. The difference is the time before Kafka. "
            "In a replay of old data, the events' own timestamps are old.",
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
        stack("Stages, mean per unit",
              "Mean time of each stage of a unit of work. The sum is the time of a unit.", (per_unit, "{{stage}}"), unit="s"),
        lines("Stages, p99", "Time of each stage that 99 of 100 units stay below.",
              (quantile(0.99, stage, "stage"), "{{stage}}"), unit="s", log=True),
        lines(
            "Delivery, p99", "Time from sending a part of a unit until all replicas confirm it. Most of it is spent in Kafka.",
            (quantile(0.99, "ouzel_delivery_seconds", "part"), "{{part}}"), unit="s", log=True,
        ),
        lines(
            "Events per unit", "Units of work grow under load, up to max_poll_records.",
            (mean(UNIT), "mean"), (quantile(0.99, UNIT), "p99"), width=6, colours={"mean": "light-blue", "p99": "purple"},
        ),
        lines("Units", "Polls per second that returned events.", (rate(UNIT + "_count"), "units"), unit="ops", width=6),
        lines(
            "Commit, p99", "Time of one offset commit.", (quantile(0.99, "ouzel_commit_seconds"), "p99"), unit="s", width=6
        ),
        lines(
            "Event loop delay",
            "How late the event loop runs its tasks. Code that blocks it delays everything, including heartbeats.",
            (series("ouzel_event_loop_delay_seconds"), "{{instance}}"), unit="s", width=6,
        ),
    ]  # fmt: skip


def _group() -> Sequence[Panel]:
    rebalance = "ouzel_rebalance_seconds"
    return [
        lines(
            "Events waiting, by partition", "Events of each partition that are not processed yet.",
            (total("ouzel_consumer_lag", "partition"), "{{partition}}"),
        ),
        lines(
            "Oldest event waiting, by partition",
            "Age of the oldest event that is not committed. If only one line grows, that partition is stuck.",
            (f"max by (partition) ({series('ouzel_oldest_uncommitted_age_seconds')})", "{{partition}}"), unit="s",
        ),
        lines(
            "Commits, by partition", "Offsets committed per second: how fast each partition is processed.",
            (f"sum by (partition) (deriv({series('ouzel_committed_offset')}[$__rate_interval]))", "{{partition}}"), unit="eps",
        ),
        stack(
            "Partitions, by worker", "How many partitions of the events topic each worker owns.",
            (series("ouzel_assigned_partitions"), "{{instance}}"), width=6,
        ),
        states(
            "Lease is valid", "A worker that has not recently heard from its group has no lease, and sends nothing.",
            (series("ouzel_lease_fresh"), "{{instance}}"), texts=YES_NO, width=6,
        ),
        lines(
            "Rebalances", "How often the group rebalanced, and the mean time in which no events were processed.",
            (f"max(increase({series('ouzel_rebalances_total')}[$__rate_interval]))", "rebalances"),
            (f"{mean(rebalance)} > 0", "seconds"), width=6,
        ),
        lines(
            "Recovery",
            "Time of the latest recovery: from the assignment of partitions until sessions are restored and events flow.",
            (series("ouzel_recovery_seconds"), "{{instance}}"), unit="s", width=6,
        ),
    ]  # fmt: skip


def _sessions() -> Sequence[Panel]:
    free = f"{series('ouzel_disk_free_bytes')} / {series('ouzel_disk_size_bytes')}"
    return [
        stack(
            "Sessions stored", "State keys in RocksDB, by its own estimate.", (total("ouzel_sessions_held", "instance"),
            "{{instance}}"),
            width=6,
        ),
        lines(
            "Sessions expired", "State keys removed per second because their time to live has passed.",
            (rate("ouzel_sessions_expired_total", "instance"), "{{instance}}"), unit="ops", width=6,
        ),
        lines(
            "RocksDB", "Size on disk and in memory, and bytes that compaction must still rewrite.",
            (total("ouzel_rocksdb_size_bytes"), "files"), (total("ouzel_rocksdb_memory_bytes"), "memory"),
            (total("ouzel_rocksdb_pending_compaction_bytes"), "to compact"), unit="bytes", width=6,
        ),
        lines(
            "Disk free", "Free share of the disk with the data directory. Dashed: the limit of the warning.",
            (free, "{{instance}}"),
            unit="percentunit", high=1, width=6, limits=falling(0.05, 0.15),
        ),
    ]  # fmt: skip


def _problems() -> Sequence[Panel]:
    grows = (
        ("ouzel_units_abandoned_total", "units abandoned in a rebalance"),
        ("ouzel_foreign_writes_total", "foreign writes overwritten"),
        ("ouzel_refused_states_total", "states refused"),
        ("ouzel_refused_transitions_total", "transitions refused"),
        ("ouzel_refused_items_total", "items refused"),
        ("ouzel_refused_elections_total", "records of the learner topic refused"),
        ("ouzel_produce_retries_total", "batches sent again"),
    )
    return [
        lines(
            "Rare events", "Ouzel handles each of them without losing data. Look into it if there are many of one kind.",
            *((rate(counter), name) for counter, name in grows), unit="ops",
        ),
        lines(
            "Delivery failures", "Parts of units that Kafka did not confirm. The unit is processed again.",
            (rate("ouzel_delivery_failures_total", "part"), "{{part}}"), unit="ops",
        ),
        lines(
            "Foreign keys",
            "Events whose record key is not their user's. They are accepted, but Kafka keeps order only within a key.",
            (rate("ouzel_foreign_keys_total", "kind"), "{{kind}}"), unit="eps",
        ),
        states(
            "RocksDB accepts writes", "RocksDB stops writes when compaction cannot keep up, or when the disk is full.",
            (f"1 - max by (instance) ({series('ouzel_rocksdb_write_stopped')})", "{{instance}}"), texts=YES_NO, width=24,
            height=5,
        ),
    ]  # fmt: skip


def _processes() -> Sequence[Panel]:
    collected = f"sum by (instance) (rate({series('python_gc_collections_total')}[$__rate_interval]))"
    return [
        cpu(6),
        memory(6),
        lines("Open files", "Open file descriptors of each process.",
              (series("process_open_fds"), "{{job}} {{instance}}"), width=6),
        lines("Garbage collections", "Runs of Python's garbage collector per second.", (collected, "{{instance}}"), unit="ops",
              width=6),
        lines(
            "Uptime", "Time since each process started. A sawtooth is a restart loop.",
            (f"time() - {series('process_start_time_seconds')}", "{{job}} {{instance}}"), unit="s", width=24, height=6,
        ),
    ]  # fmt: skip
