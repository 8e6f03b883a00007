"""The encoders of the net: each turns the last items of a session into a query vector.

Start with the protocol in `encoder.py`, then `recency.py`, the simplest one. `gru.py` is the
default, and `registry.py` lists the encoders by name.
"""
