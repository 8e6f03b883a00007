"""The dashboard Intake: what `ouzel intake` reads from topics of other systems, and how fast."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.board import Row, board
from deploy.grafana.panels import Panel, falling, heat, lines, rising, stack, tile
from deploy.grafana.promql import quantile, rate, recorded, series, share, total

LATENCY = "ouzel_intake_latency_seconds"
LETTERS, RECORDS = "ouzel_intake_dead_letters_total", "ouzel_intake_records_total"


def intake() -> Dashboard:
    """The dashboard for topics of other systems. It is empty where no intake runs."""
    description = "What ouzel intake reads from topics of other systems: records, events, latency, dead letters and lag."
    rows = [
        Row("", _tiles()),
        Row("Records", _records()),
        Row("Latency and lag", _latency()),
        Row("Problems", _problems()),
        Row("Processes", _processes(), folded=True),
    ]
    return board("Intake", description, rows)


def _tiles() -> Sequence[Panel]:
    return [
        tile("Intakes ready", "Intakes that read their topics. If there is none, records wait in Kafka.",
             recorded("domain:ouzel_intake_ready:sum"), legend="{{domain}}", limits=falling(1, 1), trend=False, width=4),
        tile("Records", "Records read per second.", rate(RECORDS), unit="recps", width=4),
        tile("Events", "Events written to `events` per second.", rate("ouzel_intake_events_total"), unit="eps", width=4),
        tile("Latency, p99", "Time from the Kafka timestamp of a record to the confirmation of its events.",
             quantile(0.99, LATENCY), unit="s", limits=rising(1, 10), width=4),
        tile("Records waiting", "Records of the sources that are not read yet.", total("ouzel_intake_lag"),
             limits=rising(1000, 10_000), width=4),
        tile("Dead letters", "Share of the records that cannot be read as events.", share(LETTERS, RECORDS), unit="percentunit",
             limits=rising(0.01, 0.05), width=4),
    ]  # fmt: skip


def _records() -> Sequence[Panel]:
    return [
        stack("Records by topic", "Records read, by source topic.", (rate(RECORDS, "topic"), "{{topic}}"), unit="recps"),
        stack("Events by topic", "Events written to `events`, by source topic.",
              (rate("ouzel_intake_events_total", "topic"), "{{topic}}"), unit="eps"),
        lines("Without an event",
              "Records whose type is ignored or whose value is null, and deletions that were written to `events`.",
              (rate("ouzel_intake_ignored_total", "topic, cause"), "{{topic}}, {{cause}}"),
              (rate("ouzel_intake_deletions_total", "topic"), "{{topic}}, deletion"), unit="recps"),
    ]  # fmt: skip


def _latency() -> Sequence[Panel]:
    return [
        heat("Latency", "Number of events by the time from the Kafka timestamp of their record to their confirmation.",
             f"sum by (le) (increase({series(LATENCY + '_bucket')}[$__rate_interval]))", width=8),
        lines("Latency, quantiles", "Time from the Kafka timestamp of a record to the confirmation of its events.",
              (quantile(0.5, LATENCY), "p50"), (quantile(0.99, LATENCY), "p99"), unit="s", log=True,
              colours={"p50": "light-blue", "p99": "purple"}),
        lines("Records waiting, by topic", "Records of each source that are not read yet. If it grows, start another intake.",
              (total("ouzel_intake_lag", "topic"), "{{topic}}")),
    ]  # fmt: skip


def _problems() -> Sequence[Panel]:
    return [
        lines("Dead letters", "Records that cannot be read as events, by source topic and reason. It should be empty.",
              (rate(LETTERS, "topic, reason"), "{{topic}}, {{reason}}"), unit="recps", width=6),
        lines("Removed before they were read", "Records that Kafka removed from a source before an intake had read them.",
              (rate("ouzel_intake_removed_records_total", "topic"), "{{topic}}"), unit="recps", width=6),
        lines("Notes", "What was unusual about events, such as a field that was dropped.",
              (rate("ouzel_intake_notes_total", "kind, value"), "{{kind}} {{value}}"), unit="eps", width=6),
        lines("Units read again", "Units that were not committed, because the group rebalanced or Kafka was away.",
              (rate("ouzel_intake_abandoned_units_total"), "units"), unit="ops", width=6),
    ]  # fmt: skip


def _processes() -> Sequence[Panel]:
    of_intakes = 'job="ouzel-intake"'
    return [
        stack("Partitions, by intake", "How many partitions of the sources each intake reads.",
              (total("ouzel_intake_partitions", "instance"), "{{instance}}")),
        lines("CPU", "Cores that each intake uses.",
              (f"rate({series('process_cpu_seconds_total', of_intakes)}[$__rate_interval])", "{{instance}}"), unit="cores"),
        lines("Memory", "Resident memory of each intake.",
              (series("process_resident_memory_bytes", of_intakes), "{{instance}}"), unit="bytes"),
    ]  # fmt: skip
