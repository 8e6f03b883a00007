"""Model: does it rank well, what does it recommend, what do people do with it, and how does it learn?"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.board import Row, board
from deploy.grafana.panels import BAD, GOOD, Panel, bars, falling, lines, rising, stack, states, tile
from deploy.grafana.promql import live, mean, per_popularity, quantile, rate, series, share, total

RANKS = ("1", "2-3", "4-5", "6-10", "11-20")
SHOWN, CLICKS, IMPRESSIONS = (
    "ouzel_recommended_items_total",
    "ouzel_recommendation_clicks_total",
    "ouzel_recommendation_impressions_total",
)
FADING = "Fading: a test weighs half after 10,000 more. Experts and the net alone are tested after 1 event in 16."
COLOURS = {"model": "blue", "popularity": "orange"}


def model() -> Dashboard:
    """For whoever answers for the recommendations."""
    tells = (
        "Live accuracy beside its baselines, what is recommended, what people do with it, and how the model learns and is kept."
    )
    rows = [
        Row("", _tiles()),
        Row("Accuracy, tested at each session's next event", _accuracy()),
        Row("What is recommended", _recommended()),
        Row("What people do with it", _response()),
        Row("Learning", _learning()),
        Row("Vocabulary", _vocabulary()),
        Row("Replication and snapshots", _replication(), folded=True),
    ]
    return board("Model", tells, rows, since="now-6h")


def lift() -> Panel:
    """How much better than popularity, in one figure."""
    return tile(
        "Recall over popularity",
        "Recall@20 of what was published, tested at each session's next event, as a multiple of what the most popular items "
        "would have had. Below 1 the model does harm.",
        per_popularity(), unit="suffix:x", limits=falling(1, 1.2), decimals=2,
    )  # fmt: skip


def variety(width: int) -> Panel:
    """How much of the catalogue people get to see."""
    return lines(
        "Variety",
        "Of what is recommended: the share of the known items that occurs at all, the share of items outside of the head "
        "(on which 80% of events are), and the share that the session has had already.",
        (f"avg({series('ouzel_catalogue_coverage_ratio')})", "coverage"),
        (share("ouzel_recommended_tail_items_total", SHOWN), "long tail"),
        (share("ouzel_recommended_repeats_total", SHOWN), "repeats"),
        unit="percentunit", high=1, width=width, colours={"coverage": "green", "long tail": "blue", "repeats": "orange"},
    )  # fmt: skip


def _tiles() -> Sequence[Panel]:
    learner = f"and on (job, instance) {series('ouzel_learner')} == 1"
    return [
        tile("Recall@20", f"Share of next items that were among the 20. {FADING}", live("recall", 'method="model"'),
             unit="percentunit", decimals=1),
        tile("MRR@20", f"Mean of 1 / rank of the next item. {FADING}", live("mrr", 'method="model"'), decimals=3),
        lift(),
        tile("Loss", "Mean training loss of the learner's last step, nats per example.", f"max({series('ouzel_loss')} {learner})",
             decimals=2),
        tile("Learned", "Transitions trained on per second.", rate("ouzel_transitions_learned_total"), unit="eps"),
        tile("Not learned yet", "Transitions of the log that the learner has not learned.",
             f"max({series('ouzel_learner_lag')} {learner})", limits=rising(2000, 10_000)),
        tile("Snapshot's age", "How far back a start would have to read the log. One is written every minute of learning.",
             f"time() - max({series('ouzel_snapshot_timestamp_seconds')} > 0)", unit="s", limits=rising(300, 900),
             empty="none yet"),
        tile("Items known", "Items that the model has learned of.", f"max({series('ouzel_vocabulary_items')})"),
    ]  # fmt: skip


def _accuracy() -> Sequence[Panel]:
    def by_method(measure: str) -> tuple[str, str]:
        return live(measure, by="method"), "{{method}}"

    return [
        lines("Recall@20", f"The published rankings (model) beside what each part alone would have ranked. {FADING}",
              by_method("recall"), unit="percentunit", width=12, height=10, colours=COLOURS, sums=("mean", "lastNotNull")),
        lines("MRR@20", f"The same by the rank of the hit. {FADING}", by_method("mrr"), width=6, height=10, colours=COLOURS,
              sums=("lastNotNull",)),
        lines("NDCG@20",
              f"The same, with the logarithm of the rank. {FADING}", by_method("ndcg"), width=6, height=10, colours=COLOURS,
              sums=("lastNotNull",)),
        lines("Recall@20 over popularity", "How many times better than the most popular items. Dashed: as good as they are.",
              (per_popularity(), "recall"), (per_popularity("mrr"), "MRR"), unit="suffix:x", width=12, limits=falling(1, 1)),
        lines("Tests", "Made, and left out for want of the ranking (after a fail-over, or a long pause).",
              (rate("ouzel_prequential_tests_total", where='method="model"'), "made"),
              (rate("ouzel_prequential_skipped_total"), "left out"), unit="ops", width=12, colours={"made": GOOD,
              "left out": "orange"}),
    ]  # fmt: skip


def _recommended() -> Sequence[Panel]:
    return [
        stack("Who speaks for the items",
              "The first 20 items of 1 recommendation in 16, by the expert that speaks loudest for each.",
              (rate(SHOWN, "expert"), "{{expert}}"), unit="percentunit", whole="hundred"),
        variety(8),
        stack("Strategies", "Which strategy made the rankings; popularity where nothing is known of the session.",
              (rate("ouzel_recommendations_total", "strategy"), "{{strategy}}"), unit="recps",
              colours={"hybrid": "blue"} | COLOURS),
    ]  # fmt: skip


def _response() -> Sequence[Panel]:
    def clicked(rank: str) -> str:
        return share(CLICKS, IMPRESSIONS, of_part=f'rank="{rank}"', of_whole=f'rank="{rank}"', window="$__range")

    by_strategy = f"{rate(CLICKS, 'strategy')} / {rate(IMPRESSIONS, 'strategy')}"
    followed = rate("ouzel_recommendation_follow_ups_total", "rank")
    tests = rate("ouzel_prequential_tests_total", where='method="model"')
    return [
        lines("Click-through, by strategy", "Clicks per impression; both must name their recommendation (recommendation_id).",
              (by_strategy, "{{strategy}}"), unit="percentunit", width=6, colours={"hybrid": "blue"} | COLOURS),
        bars("Click-through, by rank", "Clicks per impression over the time shown, by the item's rank.",
             *((clicked(rank), rank) for rank in RANKS), width=6, decimals=1),
        stack("Next items, by rank", "Share of the next events whose item stood at this rank, whether it was shown or not.",
              (f"{followed} / on () group_left () {tests}", "rank {{rank}}"), unit="percentunit", width=6),
        lines("Not attributed", "Events that name a recommendation which this worker does not remember.",
              (rate("ouzel_recommendations_unattributed_total"), "events"), unit="eps", width=6),
    ]  # fmt: skip


def _learning() -> Sequence[Panel]:
    learner = f"and on (job, instance) {series('ouzel_learner')} == 1"
    busy = f"sum by (instance, work) (rate({series('ouzel_model_busy_seconds_total')}[$__rate_interval]))"
    return [
        lines("Loss", "Mean training loss of a step, nats per example. It falls fast, then follows what people do.",
              (f"{series('ouzel_loss')} {learner}", "{{instance}}"), low=None),
        lines("Gradient's norm", "Of the items' embeddings, after the last step. Growth over decades is trouble.",
              (f"{series('ouzel_gradient_norm')} {learner}", "{{instance}}"), log=True),
        states("Who learns", "Exactly one worker at a time.", (series("ouzel_learner"), "{{instance}}"),
               says={0: ("follows", "text"), 1: ("learns", GOOD)}),
        lines("Steps", "Learning steps per second; a step ends at so many transitions, or after a second.",
              (rate("ouzel_learning_step_seconds_count"), "steps"), unit="ops", width=6),
        lines("Time of a step", "In the model's thread, where rankings go first.",
              (quantile(0.5, "ouzel_learning_step_seconds"), "p50"), (quantile(0.99, "ouzel_learning_step_seconds"), "p99"),
              unit="s", width=6, colours={"p50": "light-blue", "p99": "purple"}),
        stack("Model thread's time", "Share of the time that the thread ranks and learns. At 1 it is the bottleneck.",
              (busy, "{{work}} {{instance}}"), unit="percentunit", width=6),
        lines("Not learned yet", "Transitions of the log that each worker has not taken. Dashed: the warning, for the learner.",
              (series("ouzel_learner_lag"), "{{instance}}"), width=6, limits=rising(10_000, 10_000)),
        lines("What went wrong",
              "Steps skipped as not finite, rollbacks to the last snapshot, and soft resets after a drift; all time.",
              (f"max({series('ouzel_skipped_steps')})", "steps skipped"), (total("ouzel_rollbacks_total"), "rollbacks"),
              (f"max({series('ouzel_drift_resets')})", "drift resets"), width=24, height=6,
              colours={"steps skipped": "orange", "rollbacks": BAD, "drift resets": "purple"}),
    ]  # fmt: skip


def _vocabulary() -> Sequence[Panel]:
    return [
        lines("Items", "What the model has learned of, and what the items topic describes.",
              (f"max({series('ouzel_vocabulary_items')})", "known to the model"),
              (f"max({series('ouzel_catalogue_items')})", "in the catalogue"), width=12),
        lines("Coming and going",
              "Items met for the first time, and items forgotten because the vocabulary was full, per second.",
              (f"max(deriv({series('ouzel_new_items')}[$__rate_interval]))", "new"),
              (f"max(deriv({series('ouzel_evicted_items')}[$__rate_interval]))", "forgotten"), unit="ops", width=12,
              colours={"new": GOOD, "forgotten": "orange"}),
    ]  # fmt: skip


def _replication() -> Sequence[Panel]:
    told = "ouzel_parameters_timestamp_seconds"
    return [
        lines("Snapshot's age", "Of the newest one that each worker knows. Dashed: the warning.",
              (f"time() - ({series('ouzel_snapshot_timestamp_seconds')} > 0)", "{{instance}}"), unit="s", limits=rising(900,
              900)),
        lines("Snapshot's size", "Before compression.", (f"{series('ouzel_snapshot_bytes')} > 0", "{{instance}}"), unit="bytes"),
        lines("Snapshot's time", "What the last one took to write.", (f"{series('ouzel_snapshot_seconds')} > 0", "{{instance}}"),
              unit="s"),
        lines("Parameters' age", "Since the last parameters that a follower took from the learner.",
              (f"time() - ({series(told)} > 0)", "{{instance}}"), unit="s"),
        lines("Parameters' delay", "From their Kafka time until a follower ranked with them.",
              (f"{series('ouzel_parameters_delay_seconds')} and on (job, instance) {series(told)} > 0", "{{instance}}"),
              unit="s"),
        lines("Parameters told", "Records to the followers: told, of a lower epoch (ignored), of another shape (refused).",
              (rate("ouzel_model_updates_total"), "told"), (rate("ouzel_ignored_updates_total"), "ignored"),
              (rate("ouzel_refused_updates_total"), "refused"), unit="ops",
              colours={"told": GOOD, "ignored": "yellow", "refused": BAD}),
        lines("Snapshots refused", "Damaged or of another model; the older one is taken.",
              (total("ouzel_refused_snapshots_total", "instance"), "{{instance}}"), width=12, height=6),
        lines("Step's duration, mean", "Mean time of a learning step.", (mean("ouzel_learning_step_seconds"), "mean"), unit="s",
              width=12, height=6),
    ]  # fmt: skip
