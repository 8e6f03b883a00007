"""The worker: it turns behaviour events on Kafka into recommendations on Kafka.

Start with `streams.pipeline`, which follows one event from the poll to the commit. `events`
decodes, `sessions` keeps state, `learning` owns the model, `observing` measures, `delivery` and
`kafka` write and read, and `engine` adapts Faust. `worker` runs it all as one process.
"""
