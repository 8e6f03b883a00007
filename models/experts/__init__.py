"""The sparse experts: counts of which items occur together, and everything that is counted of an item.

Start with `rows.py`, which defines the experts, then read `memory.py`, which keeps the counts up to
date from the transitions log. `reasons.py` explains a recommended item by the expert that named it.
"""
