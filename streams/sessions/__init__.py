"""The state of each user and anonymous session: what an event changes, and where it is stored.

Start with `step`, which is pure. `states` keeps decoded states between units, and `store` keeps
them in RocksDB. `deletion` marks deleted users, and `changelog` serves recovery.
"""
