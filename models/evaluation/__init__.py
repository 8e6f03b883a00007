"""Prequential evaluation: predict every transition of a recorded stream, then learn it, and summarise.

Start with `prequential.py`, which runs a model over a `Stream` (`stream.py`). `metrics.py` turns the
predictions into figures. It calls models only through the `Recommender` protocol.
"""
