"""Kafka without a consumer group: connections, topics, permissions, and reading a whole topic.

Start with `connection`, which turns the settings into arguments for each kind of client, then
`topics`, which declares the topics. `record` is the form of a record that is read, and `outbox`
collects the records to send. The consumer group of the workers is in `streams.engine`.
"""
