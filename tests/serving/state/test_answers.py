"""Answers from the cache: cut from what was published, filtered, or completed by fallbacks."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.panel import Panel
from serving.state.answers import Answers, RankingAnswer
from serving.state.cache import LatestRankings
from serving.state.experts import Experts
from serving.state.published import first_items
from serving.state.selection import Filter
from serving.state.shelves import Shelves
from serving.state.telemetry import ServingTelemetry
from streams.events.records import POPULAR_KEY, Item, RankedItem, Recommendation

NASTY = ['"', "\\", ',"rank":3,', ',{"item_id":', '],"took_ms":', ',"user_id":', '\\","session_id":', "é\u2028"]

YEARS_LATER_MS = 1_700_000_000_000
"""An item cannot expire before the year 2000."""


class Empty:
    """Experts without any counts."""

    async def ask(self, question: Callable[[Panel], Any]) -> Any:
        return question(Panel(16))


class Bench:
    """Answers over a cache, at a time that the test sets."""

    def __init__(self) -> None:
        self.cache, self.shelves, self.telemetry, self.now = LatestRankings(100), Shelves(), ServingTelemetry(), 1000.0
        self.answers = Answers(self.cache, self.shelves, lambda: cast(Experts, Empty()), self.telemetry, lambda: self.now)

    def publish(self, owner: str, offset: int = 1, key: bytes | None = None, items: int = 50, strategy: str = "hybrid") -> None:
        published = Recommendation(
            recommendation_id=f"events-0-{offset}", user_id=owner, session_id=None, generated_at=999_000, trigger_event_id="e",
            trigger_offset=offset, model_version=7, strategy=strategy, prefix=["i1", "i2"],
            items=[RankedItem(f"i{n}", 100.0 - n, n + 1, "markov", "i2") for n in range(items)], took_ms=1.0,
        )  # fmt: skip
        self.cache.take(
            SimpleNamespace(partition=0, offset=offset, key=key or owner.encode(), value=msgspec.json.encode(published))
        )

    def item(self, item_id: str, **fields: Any) -> None:
        self.shelves.apply(item_id.encode(), msgspec.json.encode(Item(item_id=item_id, **fields)))

    async def of(self, *arguments: Any, **options: Any) -> RankingAnswer:
        return msgspec.json.decode(await self.answers.for_owner(*arguments, **options), type=RankingAnswer)

    def count(self, strategy: str, fallback: str) -> float | None:
        return self.telemetry.registry.get_sample_value(
            "ouzel_serve_rankings_total", {"strategy": strategy, "fallback": fallback}
        )


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_plain_answer_has_the_first_published_items_and_the_age(bench: Bench) -> None:
    bench.publish('an"n')
    for _ in range(2):
        answer = await bench.of('an"n')
        assert (answer.user_id, answer.age_ms, answer.strategy, answer.fallback) == ('an"n', 1000, "hybrid", [])
        assert [item.item_id for item in answer.items] == [f"i{n}" for n in range(20)]
        assert (answer.items[3].rank, answer.items[3].because_item_id, answer.prefix) == (4, "i2", ["i1", "i2"])
    bench.now += 5
    assert (await bench.of('an"n')).age_ms == 6000
    assert bench.count("hybrid", "none") == 3


async def test_a_plain_answer_is_not_decoded_until_items_are_hidden(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    import serving.state.answers as module

    decoded: list[str] = []
    for name in ("_decode", "_decode_items"):
        whole = getattr(module, name)
        monkeypatch.setattr(module, name, lambda value, name=name, whole=whole: decoded.append(name) or whole(value))
    bench.publish("ann")
    for k in (1, 3, 20, 49, 50):
        assert len((await bench.of("ann", None, k)).items) == k
    assert decoded == []
    bench.item("other", is_hidden=True)
    for _ in range(3):
        assert (await bench.of("ann")).items[0].item_id == "i0"
    assert decoded == ["_decode_items"], "checked once"
    bench.item("i0", is_hidden=True)
    assert [item.item_id for item in (await bench.of("ann")).items] == [f"i{n}" for n in range(1, 21)]
    bench.item("i0")
    assert (await bench.of("ann")).items[0].item_id == "i0"
    bench.publish("ann", offset=2)
    assert (await bench.of("ann")).trigger_offset == 2


async def test_an_item_leaves_every_answer_when_it_expires_and_joins_them_when_it_is_available(bench: Bench) -> None:
    now = int(bench.now * 1000) + YEARS_LATER_MS
    bench.publish("ann")
    bench.item("i0", expires_at=now + 10_000)
    bench.item("i1", available_from=now + 20_000)
    bench.item("i2", stock=0.0)
    bench.item("i3", available=False)
    bench.now += YEARS_LATER_MS / 1000
    assert [item.item_id for item in (await bench.of("ann", None, 3)).items] == ["i0", "i4", "i5"]
    bench.now += 9.999
    assert (await bench.of("ann", None, 1)).items[0].item_id == "i0"
    bench.now += 0.001
    assert [item.item_id for item in (await bench.of("ann", None, 3)).items] == ["i4", "i5", "i6"]
    bench.now += 10
    assert [item.item_id for item in (await bench.of("ann", None, 3)).items] == ["i1", "i4", "i5"]
    assert bench.answers.hidden() == {"i0", "i2", "i3"}


@given(
    texts=st.lists(st.text(max_size=12) | st.sampled_from(NASTY), min_size=6, max_size=6),
    ids=st.lists(st.text(min_size=1, max_size=8) | st.sampled_from(NASTY), max_size=12),
    because=st.booleans(),
    k=st.integers(1, 14),
)
def test_the_cut_fields_are_the_published_ones_whatever_the_ids(texts: list[str], ids: list[str], because: bool, k: int) -> None:
    items = [RankedItem(item, 1 / (n + 1), n + 1, "markov", texts[0] if because else None) for n, item in enumerate(ids)]
    published = Recommendation(
        recommendation_id=texts[1], user_id=texts[2], session_id=texts[3], generated_at=5, trigger_event_id=texts[4],
        trigger_offset=7, model_version=9, strategy=texts[5], prefix=texts, items=items, took_ms=0.25,
    )  # fmt: skip
    cut = first_items(msgspec.json.encode(published), k)
    if len(ids) < k:
        assert cut is None
        return
    assert cut is not None
    fields = msgspec.json.decode(b"{%b]}" % cut)
    whole = msgspec.json.decode(msgspec.json.encode(published))
    assert fields == {name: value for name, value in whole.items() if name not in ("user_id", "took_ms")} | {
        "items": whole["items"][:k]
    }


async def test_other_layouts_are_decoded(bench: Bench) -> None:
    bench.publish("ann")
    ranking = bench.cache.get("ann")
    assert ranking is not None
    plain = await bench.of("ann")
    ranking.value = msgspec.json.format(ranking.value)
    assert first_items(ranking.value, 20) is None
    assert await bench.of("ann") == plain


@pytest.mark.parametrize("blank", [b"\n\n", b"\r"])
async def test_no_answer_has_a_line_break_of_a_published_ranking(bench: Bench, blank: bytes) -> None:
    """It would end the event of a stream, and the rest would be the next one."""
    bench.publish("ann")
    ranking = bench.cache.get("ann")
    assert ranking is not None
    plain = await bench.of("ann")
    ranking.value = ranking.value.replace(b'"items":[', b'"items":[' + blank)
    assert first_items(ranking.value, 1) is None
    assert await bench.of("ann") == plain


async def test_items_of_the_prefix_can_be_left_out(bench: Bench) -> None:
    bench.publish("ann")
    answer = await bench.of("ann", None, 3, seen=False)
    assert [item.item_id for item in answer.items] == ["i0", "i3", "i4"]


async def test_an_answer_with_fallbacks_is_not_kept(bench: Bench) -> None:
    bench.publish("ann", items=2)
    bench.item("z1")
    answer = await bench.of("ann", None, 3)
    assert [item.item_id for item in answer.items] == ["i0", "i1", "z1"]
    assert (answer.strategy, answer.fallback, answer.items[2].reason) == ("hybrid", ["catalogue"], "catalogue")
    bench.item("z2")
    assert [item.item_id for item in (await bench.of("ann", None, 3)).items] == ["i0", "i1", "z2"]
    assert bench.count("hybrid", "catalogue") == 2


async def test_an_unknown_user_gets_popular_items_and_the_strategy_says_so(bench: Bench) -> None:
    cold = await bench.of("stranger")
    assert (cold.strategy, cold.items, cold.trigger_offset) == ("popularity", [], -1)
    bench.publish("x", key=POPULAR_KEY, strategy="popularity")
    answer = await bench.of("stranger")
    assert (answer.user_id, answer.strategy, answer.session_id, len(answer.items)) == ("stranger", "popularity", None, 20)
    assert (await bench.of("another")).user_id == "another"


async def test_the_strategies_of_the_metric_are_bounded(bench: Bench) -> None:
    for number in range(100):
        bench.publish("ann", offset=number, strategy=f"s{number}")
        await bench.of("ann")
    (family,) = [m for m in bench.telemetry.registry.collect() if m.name == "ouzel_serve_rankings"]
    assert len({sample.labels["strategy"] for sample in family.samples}) <= 33
    assert bench.count("other", "none") == 68


async def test_a_category_adds_items_that_were_not_published(bench: Bench) -> None:
    bench.publish("ann")
    bench.item("i7", categories=["red"])
    bench.item("z", categories=["red"])
    wanted = Filter(5, bench.answers.hidden(), category=bench.shelves.category("red"))
    answer = await bench.of("ann", None, 5, wanted)
    assert [item.item_id for item in answer.items] == ["i7", "z"]
