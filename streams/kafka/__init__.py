"""Kafka without a consumer group: connections, topics, permissions, and reading a whole topic.

Start with `connection`, which turns the settings into arguments for each kind of client, then
`topics`, which declares the topics. `outbox` collects the records to send. The form of a record
that is read is in `streams.wire`, and the consumer group of the workers in `streams.engine`.
"""
