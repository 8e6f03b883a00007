"""The sparse experts: counts of items, and of which items occur together.

Start with `rows.py`, which defines the experts, then read `memory.py`, which keeps the counts up to
date from the transitions log. `reasons.py` explains a recommended item by the expert that named it.
"""
