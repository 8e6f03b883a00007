"""Prequential evaluation: predict every transition of a recorded stream, and then learn it.

Start with `prequential.py`, which runs a model over a `Stream` (`stream.py`). `metrics.py` turns
the predictions into figures. It calls models only through the `Recommender` protocol.
"""
