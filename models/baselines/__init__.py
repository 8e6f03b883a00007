"""The methods that the hybrid is compared with: single experts, popularity, VMIS-kNN, the net alone.

Start with `counting.py`, the base class of those that only count. `null.py` ranks nothing; it
measures what the rest of the system costs.
"""
