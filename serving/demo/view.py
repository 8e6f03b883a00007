"""Writes the texts and tables of the demo. These are pure functions of its figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import msgspec
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from serving.demo.tally import Counts
from serving.state.worker_metrics import WorkerMetrics
from streams.events.catalogue import Catalogue
from streams.events.records import RankedItem, Recommendation
from streams.kafka.decoding import decoded
from streams.printable import printable

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
    latest = Text(printable(moment.latest), overflow="fold")
    title = f"Ouzel · {moment.source} · Kafka at {moment.broker} · {moment.seconds:.0f} s"
    shown = Group(Figures(moment), Text(), latest)
    return Panel(shown, title=Text(printable(title)), subtitle="Press Ctrl-C to stop", padding=(1, 2))


class Figures:
    """The figures of the live view, beside each other where they fit, and else below each other."""

    def __init__(self, moment: Moment) -> None:
        of = f" of {moment.expected:,}" if moment.expected else ""
        freshness = f"{_ms(moment.freshness_p50_ms)} / {_ms(moment.freshness_p99_ms)}"
        self.rows = [
            ("events", f"{moment.done:,}{of}", Text(f"{moment.events_per_second:,.0f} per second{_behind(moment)}")),
            ("freshness", freshness, Text("p50 / p99, from event to ranking")),
            ("Recall@20, model", _share(moment.recall), _bar(moment.recall, "green")),
            ("Recall@20, popularity", _share(moment.popularity_recall), _bar(moment.popularity_recall, "yellow")),
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the figures in the columns that there are."""
        figures = Table.grid(padding=(0, 3))
        figures.add_column(style="dim", no_wrap=True)
        figures.add_column(justify="right", style="bold", no_wrap=True)
        figures.add_column(style="dim", min_width=20)
        for row in self.rows:
            figures.add_row(*row)
        if Measurement.get(console, options.update(width=1000), figures).minimum <= options.max_width:
            yield figures
            return
        for name, value, about in self.rows:
            yield Text.assemble((f"{name}  ", "dim"), (value, "bold"), overflow="fold")
            yield Text(about.plain, style="dim", overflow="fold")


def line(moment: Moment) -> str:
    """Write the figures of the live view in one line, for a log."""
    of = f"/{moment.expected}" if moment.expected else ""
    return (
        f"{moment.seconds:.0f} s  events {moment.done}{of}  {moment.events_per_second:.0f}/s  "
        f"freshness p50 {_ms(moment.freshness_p50_ms)} p99 {_ms(moment.freshness_p99_ms)}  "
        f"Recall@20 model {_share(moment.recall)} popularity {_share(moment.popularity_recall)}  "
        f"latest: {printable(moment.latest)}"
    )


def summary_rows(summary: Summary) -> list[tuple[str, str]]:
    """Return each figure of the summary, by name, as text."""
    return [(name, _figure(value)) for name, value in asdict(summary).items()]


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"


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
