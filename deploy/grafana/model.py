"""The dashboard Model: accuracy, recommendations, how users respond to them, and learning."""

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
RECENT = "Recent tests count more: a weight halves every 10,000 tests. Experts and the net are tested at 1 event in 16."
COLOURS = {"model": "blue", "popularity": "orange"}


def model() -> Dashboard:
    """The dashboard for people who are responsible for the quality of recommendations."""
    description = (
        "Live accuracy compared with baselines, the recommendations, how users respond, and how the model learns and is stored."
    )
    rows = [
        Row("", _tiles()),
        Row("Accuracy, evaluated at each session's next event", _accuracy()),
        Row("Recommendations", _recommended()),
        Row("How users respond", _response()),
        Row("Learning", _learning()),
        Row("Vocabulary", _vocabulary()),
        Row("Replication and snapshots", _replication(), folded=True),
    ]
    return board("Model", description, rows, since="now-6h")


def lift() -> Panel:
    """How much better the model is than popularity, in one figure."""
    return tile(
        "Recall over popularity",
        "Recall@20 of the published rankings, evaluated at each session's next event, as a multiple of the recall of the most "
        "popular items. Below 1 the model does worse than recommending popular items.",
        per_popularity(), unit="suffix:x", limits=falling(1, 1.2), decimals=2,
    )  # fmt: skip


def variety(width: int) -> Panel:
    """How much of the catalogue is recommended."""
    return lines(
        "Variety",
        "Coverage: the share of known items that are recommended at all. Long tail: the share of recommended items that are not "
        "among the head (the items with 80% of the events). Repeats: the share that the session contains already.",
        (f"avg({series('ouzel_catalogue_coverage_ratio')})", "coverage"),
        (share("ouzel_recommended_tail_items_total", SHOWN), "long tail"),
        (share("ouzel_recommended_repeats_total", SHOWN), "repeats"),
        unit="percentunit", high=1, width=width, colours={"coverage": "green", "long tail": "blue", "repeats": "orange"},
    )  # fmt: skip


def _tiles() -> Sequence[Panel]:
    learner = f"and on (job, instance) {series('ouzel_learner')} == 1"
    return [
        tile("Recall@20", f"How often the next item was among the 20 published. {RECENT}", live("recall", 'method="model"'),
             unit="percentunit", decimals=1),
        tile("MRR@20", f"Mean of 1 / rank of the next item. {RECENT}", live("mrr", 'method="model"'), decimals=3),
        lift(),
        tile("Loss", "Mean training loss of the learner's latest step, in nats per example.",
             f"max({series('ouzel_loss')} {learner})",
             decimals=2),
        tile("Learned", "Transitions learned per second.", rate("ouzel_transitions_learned_total"), unit="eps"),
        tile("Waiting to be learned", "Transitions in Kafka that the learner has not learned yet.",
             f"max({series('ouzel_learner_lag')} {learner})", limits=rising(2000, 10_000)),
        tile("Snapshot age",
             "How much of the log a starting worker must read. The learner writes a snapshot every minute while it learns.",
             f"time() - max({series('ouzel_snapshot_timestamp_seconds')} > 0)", unit="s", limits=rising(300, 900),
             empty="none yet"),
        tile("Items known", "Items in the vocabulary of the model.", f"max({series('ouzel_vocabulary_items')})"),
    ]  # fmt: skip


def _accuracy() -> Sequence[Panel]:
    def by_method(measure: str) -> tuple[str, str]:
        return live(measure, by="method"), "{{method}}"

    return [
        lines("Recall@20", f"The published rankings (model), compared with rankings by each part of it alone. {RECENT}",
              by_method("recall"), unit="percentunit", width=12, height=10, colours=COLOURS, sums=("mean", "lastNotNull")),
        lines("MRR@20", f"The same comparison by the mean of 1 / rank of the next item. {RECENT}",
              by_method("mrr"), width=6, height=10, colours=COLOURS,
              sums=("lastNotNull",)),
        lines("NDCG@20",
              f"The same comparison by the mean of 1 / log2(rank + 1). {RECENT}",
              by_method("ndcg"), width=6, height=10, colours=COLOURS,
              sums=("lastNotNull",)),
        lines("Recall@20 over popularity",
              "Accuracy of the model as a multiple of the accuracy of the most popular items. Dashed: equal.",
              (per_popularity(), "recall"), (per_popularity("mrr"), "MRR"), unit="suffix:x", width=12, limits=falling(1, 1)),
        lines("Evaluations", "Evaluations made, and skipped because the ranking was not in memory (a fail-over, a long pause).",
              (rate("ouzel_prequential_tests_total", where='method="model"'), "made"),
              (rate("ouzel_prequential_skipped_total"), "skipped"), unit="ops", width=12, colours={"made": GOOD,
              "skipped": "orange"}),
    ]  # fmt: skip


def _recommended() -> Sequence[Panel]:
    return [
        stack("Items by expert",
              "The first 20 items of 1 recommendation in 16, by the expert that contributes most to the score of each.",
              (rate(SHOWN, "expert"), "{{expert}}"), unit="percentunit", whole="hundred"),
        variety(8),
        stack("Strategies", "Rankings by the strategy that made them. Popularity is used if nothing is known about the session.",
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
        lines("Click-through, by strategy", "Clicks per impression. Both events must have a recommendation_id.",
              (by_strategy, "{{strategy}}"), unit="percentunit", width=6, colours={"hybrid": "blue"} | COLOURS),
        bars("Click-through, by rank", "Clicks per impression by the rank of the item, over the selected time range.",
             *((clicked(rank), rank) for rank in RANKS), width=6, decimals=1),
        stack("Next items, by rank", "Share of next events whose item had this rank, whether it was shown or not.",
              (f"{followed} / on () group_left () {tests}", "rank {{rank}}"), unit="percentunit", width=6),
        lines("Not attributed", "Events with the id of a recommendation that the worker no longer has in memory.",
              (rate("ouzel_recommendations_unattributed_total"), "events"), unit="eps", width=6),
    ]  # fmt: skip


def _learning() -> Sequence[Panel]:
    learner = f"and on (job, instance) {series('ouzel_learner')} == 1"
    busy = f"sum by (instance, work) (rate({series('ouzel_model_busy_seconds_total')}[$__rate_interval]))"
    return [
        lines("Loss",
              "Mean training loss of a step, in nats per example. It falls fast at first, then follows the users' behaviour.",
              (f"{series('ouzel_loss')} {learner}", "{{instance}}"), low=None),
        lines("Gradient norm",
              "Norm of the gradient of the item embeddings in the latest step. Growth by powers of ten is a problem.",
              (f"{series('ouzel_gradient_norm')} {learner}", "{{instance}}"), log=True),
        states("Learner", "Exactly one worker learns at a time; the others follow.", (series("ouzel_learner"), "{{instance}}"),
               texts={0: ("follows", "text"), 1: ("learns", GOOD)}),
        lines("Steps", "Learning steps per second. A step ends at a set number of transitions, or after a second.",
              (rate("ouzel_learning_step_seconds_count"), "steps"), unit="ops", width=6),
        lines("Step time", "Time of a learning step in the trainer.",
              (quantile(0.5, "ouzel_learning_step_seconds"), "p50"), (quantile(0.99, "ouzel_learning_step_seconds"), "p99"),
              unit="s", width=6, colours={"p50": "light-blue", "p99": "purple"}),
        stack("Model threads", "Share of the time in which workers rank and count, and the trainer learns. The limit is 1.",
              (busy, "{{work}} {{instance}}"), unit="percentunit", width=6),
        lines("Transitions waiting",
              "Transitions in Kafka that workers have not counted and the trainer has not learned. Dashed: the limit.",
              (f"{series('ouzel_follower_lag')}", "counted by {{instance}}"),
              (f"{series('ouzel_learner_lag')} {learner}", "learned by {{instance}}"), width=6, limits=rising(10_000, 10_000)),
        lines("Trainer, processor", "Share of a core that the trainer uses. It has a lower priority than the worker beside it.",
              (rate("ouzel_trainer_cpu_seconds_total"), "trainer"), unit="percentunit", width=6),
        lines("Trainer, memory", "Memory of the trainer. The worker beside it has a model of its own.",
              (f"{series('ouzel_trainer_resident_memory_bytes')} > 0", "{{instance}}"), unit="bytes", width=6),
        lines("Share that trains", "Share of the learning steps that train. It falls while too many transitions wait.",
              (f"{series('ouzel_training_share_ratio')} {learner}", "{{instance}}"), unit="percentunit", width=6),
        lines("Parameters, bytes", "Bytes of parameters published per second, which every worker reads.",
              (rate("ouzel_model_update_bytes_total"), "published"), unit="Bps", width=6),
        lines("Trainer, starts again", "Trainers that ended and were started again. Rankings go on meanwhile.",
              (total("ouzel_trainer_restarts_total"), "starts"), (f"sum({series('ouzel_trainer_up')})", "running"), width=6,
              height=6),
        lines("Problems while learning",
              "Over all time: steps skipped because a value was not finite, rollbacks to a snapshot, soft resets after drift.",
              (f"max({series('ouzel_skipped_steps')})", "steps skipped"), (total("ouzel_rollbacks_total"), "rollbacks"),
              (f"max({series('ouzel_drift_resets')})", "drift resets"), width=18, height=6,
              colours={"steps skipped": "orange", "rollbacks": BAD, "drift resets": "purple"}),
    ]  # fmt: skip


def _vocabulary() -> Sequence[Panel]:
    refused, dropped = (
        f"max by ({label}) (rate({series(name)}[$__rate_interval])) > 0"
        for name, label in (("ouzel_refused_items_total", "reason"), ("ouzel_dropped_item_fields_total", "field"))
    )
    return [
        lines("Items", "Items in the vocabulary of the model, and items in the items topic.",
              (f"max({series('ouzel_vocabulary_items')})", "known to the model"),
              (f"max({series('ouzel_catalogue_items')})", "in the catalogue"), width=12),
        lines("Items added and evicted",
              "Items seen for the first time, and items evicted because the vocabulary was full, per second.",
              (f"max(deriv({series('ouzel_new_items')}[$__rate_interval]))", "new"),
              (f"max(deriv({series('ouzel_evicted_items')}[$__rate_interval]))", "evicted"), unit="ops", width=12,
              colours={"new": GOOD, "evicted": "orange"}),
        lines("Items refused",
              "Records of the items topic that are neither an item nor a removal. The log of a worker names each.",
              (refused, "{{reason}}"), unit="ops", width=12, height=6),
        lines("Fields of items dropped",
              "Optional fields that could not be read. The item counts without them; it is hidden if the field is is_hidden.",
              (dropped, "{{field}}"), unit="ops", width=12, height=6),
    ]  # fmt: skip


def _replication() -> Sequence[Panel]:
    taken = "ouzel_parameters_timestamp_seconds"
    return [
        lines("Snapshot age", "Age of the newest snapshot that each worker knows. Dashed: the limit of the warning.",
              (f"time() - ({series('ouzel_snapshot_timestamp_seconds')} > 0)", "{{instance}}"), unit="s", limits=rising(900,
              900)),
        lines("Snapshot size", "Size of the newest snapshot before compression.",
              (f"{series('ouzel_snapshot_bytes')} > 0", "{{instance}}"), unit="bytes"),
        lines("Snapshot time", "Time to write the newest snapshot.", (f"{series('ouzel_snapshot_seconds')} > 0", "{{instance}}"),
              unit="s"),
        lines("Parameter age", "Time since each follower last took parameters from the learner.",
              (f"time() - ({series(taken)} > 0)", "{{instance}}"), unit="s"),
        lines("Parameter delay", "Time from the Kafka timestamp of parameters until a follower ranks with them.",
              (f"{series('ouzel_parameters_delay_seconds')} and on (job, instance) {series(taken)} > 0", "{{instance}}"),
              unit="s"),
        lines("Parameter updates",
              "Updates sent by the learner, ignored by followers (lower epoch), and refused (another shape).",
              (rate("ouzel_model_updates_total"), "sent"), (rate("ouzel_ignored_updates_total"), "ignored"),
              (rate("ouzel_refused_updates_total"), "refused"), unit="ops",
              colours={"sent": GOOD, "ignored": "yellow", "refused": BAD}),
        lines("Snapshots refused", "Snapshots that are damaged or from another model. An older one is used instead.",
              (total("ouzel_refused_snapshots_total", "instance"), "{{instance}}"), width=12, height=6),
        lines("Step time, mean", "Mean time of a learning step.", (mean("ouzel_learning_step_seconds"), "mean"), unit="s",
              width=12, height=6),
    ]  # fmt: skip
