"""Kafka without a consumer group: connections, topics, permissions, and reading a whole topic.

Start with `connection`, which turns the settings into arguments for each kind of client, then
`topics`, which says what each topic must be. `record` has the form of a record that is
read, `outbox` the records that are sent. The consumer group of the workers is in `streams.engine`.
"""
