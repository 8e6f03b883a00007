"""The methods that the hybrid is compared with, such as single experts, popularity and VMIS-kNN.

Start with `counting.py`, the base class of those that only count. `null.py` ranks nothing; it
measures what the rest of the system costs.
"""
