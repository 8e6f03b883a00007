"""Writes the texts and tables of the demo. These are pure functions of its figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import msgspec
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from serving.demo.tally import Counts
from serving.state.worker_metrics import WorkerMetrics
from streams.events.catalogue import Catalogue
from streams.events.records import RankedItem, Recommendation
from streams.kafka.decoding import decoded

SHOWN_ITEMS = 3
SHOWN_PREFIX = 3
_decode = msgspec.json.Decoder(Recommendation).decode


@dataclass(frozen=True)
class Summary:
    """The result of the demo, as ``--json`` writes it.

    Figures that were not measured are ``None``.
    """

    events: int
    interactions: int
    transitions: int
    recommendations: int
    dead_letters: int
    recall_at_20: float | None
    mrr_at_20: float | None
    popularity_recall_at_20: float | None
    freshness_p50_ms: float | None
    freshness_p99_ms: float | None
    events_per_second: float | None


@dataclass(frozen=True)
class Moment:
    """The figures at one moment, for the live view."""

    source: str
    broker: str
    seconds: float
    done: int
    expected: int | None
    events_per_second: float
    lag: int | None
    freshness_p50_ms: float | None
    freshness_p99_ms: float | None
    recall: float | None
    popularity_recall: float | None
    latest: str


def summarise(counts: Counts, worker: WorkerMetrics) -> Summary:
    """Return the summary: counts of the independent consumer, and the worker's accuracy."""
    return Summary(
        events=counts.records["events"],
        interactions=worker.interactions,
        transitions=counts.records["transitions"],
        recommendations=counts.records["recommendations"],
        dead_letters=counts.records["dead-letters"],
        recall_at_20=_rounded(worker.recall, 4),
        mrr_at_20=_rounded(worker.mrr, 4),
        popularity_recall_at_20=_rounded(worker.popularity_recall, 4),
        freshness_p50_ms=counts.freshness.percentile(0.50),
        freshness_p99_ms=counts.freshness.percentile(0.99),
        events_per_second=_rounded(counts.events_per_second, 1),
    )


def disagreements(counts: Counts, worker: WorkerMetrics) -> list[str]:
    """Describe each difference between the topics and the worker's counters in one line."""
    pairs = {
        "events": (counts.records["events"], worker.done),
        "transitions": (counts.records["transitions"], worker.transitions),
        "recommendations": (counts.records["recommendations"], worker.recommendations),
        "dead-letters": (counts.records["dead-letters"], worker.dead_letters),
    }
    lines = [
        f"{kind}: {on_topic} on the topic, {counted} in the worker's counters"
        for kind, (on_topic, counted) in pairs.items()
        if on_topic != counted
    ]
    return lines + [f"{kind}: {count} published twice" for kind, count in counts.repeated.items() if count]


def in_words(value: bytes | None, catalogue: Catalogue) -> str:
    """Describe a published recommendation, for example ``ada viewed Mug. Recommended: Pot``."""
    if value is None:
        return "no recommendation yet"
    recommendation = decoded(_decode, value)
    user = recommendation.user_id or f"session {recommendation.session_id}"
    viewed = " > ".join(catalogue.name(item) for item in recommendation.prefix[-SHOWN_PREFIX:])
    items = "; ".join(_item(item, catalogue) for item in recommendation.items[:SHOWN_ITEMS])
    return f"{user} viewed {viewed or 'nothing yet'}. Recommended: {items or 'nothing'}"


def panel(moment: Moment) -> RenderableType:
    """Draw the live view for a terminal."""
    figures = Table.grid(padding=(0, 3))
    figures.add_column(style="dim")
    figures.add_column(justify="right", style="bold")
    figures.add_column(style="dim")
    of = f" of {moment.expected:,}" if moment.expected else ""
    figures.add_row("events", f"{moment.done:,}{of}", f"{moment.events_per_second:,.0f} per second{_behind(moment)}")
    figures.add_row(
        "freshness",
        f"{_ms(moment.freshness_p50_ms)} / {_ms(moment.freshness_p99_ms)}",
        "p50 / p99, from event to ranking",
    )
    figures.add_row("Recall@20, model", _share(moment.recall), _bar(moment.recall, "green"))
    figures.add_row("Recall@20, popularity", _share(moment.popularity_recall), _bar(moment.popularity_recall, "yellow"))
    latest = Text(moment.latest, overflow="fold")
    title = f"Ouzel · {moment.source} · Kafka at {moment.broker} · {moment.seconds:.0f} s"
    return Panel(Group(figures, Text(), latest), title=Text(title), subtitle="Press Ctrl-C to stop", padding=(1, 2))


def line(moment: Moment) -> str:
    """Write the figures of the live view in one line, for a log."""
    of = f"/{moment.expected}" if moment.expected else ""
    return (
        f"{moment.seconds:.0f} s  events {moment.done}{of}  {moment.events_per_second:.0f}/s  "
        f"freshness p50 {_ms(moment.freshness_p50_ms)} p99 {_ms(moment.freshness_p99_ms)}  "
        f"Recall@20 model {_share(moment.recall)} popularity {_share(moment.popularity_recall)}  latest: {moment.latest}"
    )


def summary_table(summary: Summary) -> Table:
    """Draw the summary as a table."""
    table = Table("figure", "value", title="Summary", title_justify="left")
    table.columns[1].justify = "right"
    for name, value in asdict(summary).items():
        text = "not measured" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"
        table.add_row(name, text)
    return table


def _item(item: RankedItem, catalogue: Catalogue) -> str:
    name = catalogue.name(item.item_id)
    if item.because_item_id is not None:
        return f"{name} (because of {catalogue.name(item.because_item_id)})"
    return f"{name} ({item.reason})" if item.reason else name


def _behind(moment: Moment) -> str:
    return f", {moment.lag:,} waiting" if moment.lag else ""


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _bar(value: float | None, colour: str, width: int = 30) -> Text:
    return Text("█" * round((value or 0.0) * width), style=colour)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
