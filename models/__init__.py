"""Recommender models: they rank items for a session and learn online from every transition.

Start with `recommender.py`, the protocol that streams and serving call, then read `hybrid.py` from
top to bottom. `registry.py` lists every method by name, and `docs/model.md` explains the hybrid.
"""
