"""The model in a worker: its thread, replicas and learner, and its snapshots and updates on Kafka.

Start with `replica`, a model that follows the transitions log, then `learner`, which trains one.
"""
