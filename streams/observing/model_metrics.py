"""The metrics of the model. `streams.training.relay` sets those of its training."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

STAGE_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


class ModelMetrics:
    """The model and its learning."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.is_learner = gauge("ouzel_learner", "1 while this worker is the elected learner.")
        self.follower_lag = gauge("ouzel_follower_lag", "Transitions of the log that this worker has not counted yet.")
        self.learner_lag = gauge("ouzel_learner_lag", "Transitions of the log that the trainer has not learned yet.")
        self.trainer_up = gauge("ouzel_trainer_up", "1 while the trainer of this worker has a model and learns.")
        self.trainer_restarts = counter("ouzel_trainer_restarts", "Trainers of this worker that ended and were started again.")
        self.trainer_cpu = counter("ouzel_trainer_cpu_seconds", "Processor time that the trainers of this worker have used.")
        self.trainer_memory = gauge("ouzel_trainer_resident_memory_bytes", "Memory of the trainer of this worker.")
        self.steps = gauge("ouzel_learning_steps", "Learning steps of the parameters in use, which is the model's version.")
        self.step_seconds = histogram("ouzel_learning_step_seconds", "Duration of a learning step.", buckets=STAGE_BUCKETS)
        self.busy = counter(
            "ouzel_model_busy_seconds",
            "Time spent on ranking and counting by the model thread, and on learning by the trainer.",
            ["work"],
        )
        self.learned = counter("ouzel_transitions_learned", "Transitions that the trainers of this worker have learned.")
        self.thinned = counter(
            "ouzel_transitions_thinned", "Transitions that the trainers only counted, because too many were waiting."
        )
        self.training_share = gauge(
            "ouzel_training_share_ratio", "Share of the learning steps that train the net and the gate; 1 unless it is behind."
        )
        self.followed = counter("ouzel_transitions_followed", "Transitions that this worker has counted.")
        self.refused_transitions = counter("ouzel_refused_transitions", "Records that are not valid transitions; ignored.")
        self.loss = gauge("ouzel_loss", "Mean training loss of the last step.")
        self.gradient_norm = gauge("ouzel_gradient_norm", "Norm of the gradient of the item embeddings in the last step.")
        self.skipped_steps = gauge(
            "ouzel_skipped_steps", "Optimiser steps that the model has ever skipped: a number was not finite."
        )
        self.rollbacks = counter("ouzel_rollbacks", "Rollbacks of the parameters to those of the last snapshot.")
        self.drifts = gauge("ouzel_drift_resets", "Soft resets that the model has ever made because its hit rate fell.")
        self.vocabulary = gauge("ouzel_vocabulary_items", "Items that the model knows.")
        self.new_items = gauge("ouzel_new_items", "Items that the model has ever learned.")
        self.evicted = gauge("ouzel_evicted_items", "Items that the model has ever evicted because its vocabulary was full.")
        self.updates = counter("ouzel_model_updates", "Records of parameters sent to followers.")
        self.update_bytes = counter("ouzel_model_update_bytes", "Size of these records.")
        self.ignored_updates = counter("ouzel_ignored_updates", "Records of parameters that a replaced learner sent; ignored.")
        self.refused_updates = counter("ouzel_refused_updates", "Records that are not parameters of this model; ignored.")
        self.parameters_time = gauge(
            "ouzel_parameters_timestamp_seconds", "Kafka time of the latest parameters applied; 0 if there are none."
        )
        self.parameters_delay = gauge(
            "ouzel_parameters_delay_seconds", "Time from the Kafka time of these parameters until they were applied."
        )
        self.snapshot_time = gauge(
            "ouzel_snapshot_timestamp_seconds", "When the newest known snapshot was written; 0 if there is none."
        )
        self.snapshot_bytes = gauge("ouzel_snapshot_bytes", "Size of the last snapshot before compression.")
        self.snapshot_seconds = gauge("ouzel_snapshot_seconds", "Duration of the last write of a snapshot.")
        self.refused_snapshots = counter("ouzel_refused_snapshots", "Snapshots that could not be used.")
