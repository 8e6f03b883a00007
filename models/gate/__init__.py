"""The gate: it gathers candidates from experts and net, and ranks them by 36 features.

Start with `features.py` (one query), then `candidates.py` (a batch) and `gate.py` (scores and
learning). `batch.py` defines the arrays that these share.
"""
