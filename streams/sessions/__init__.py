"""The state of each user and anonymous session: what an event changes, and where it is stored.

Start with `step`, which is pure. `states` keeps decoded states between units, and `store` keeps
them in RocksDB. `deletion` is about users who were deleted.
"""
