"""The gate: it gathers candidates from experts and net, describes each by 36 features, and ranks them.

Start with `features.py` (one query), then `candidates.py` (a batch) and `gate.py` (scores and
learning). `batch.py` defines the arrays that these share.
"""
