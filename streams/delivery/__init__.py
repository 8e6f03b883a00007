"""Takes a unit's results to Kafka: its outputs, and the changelog of its sessions.

Start at `leased.py` (at least once, under a lease) or `exactly_once.py` (one transaction per
unit). Both send through `publisher.py`.
"""
