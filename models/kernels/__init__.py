"""Numeric building blocks on plain arrays: numba kernels, matrix products and Adam.

Start with `numerics.py`: its options, constants and types are used in every other kernel. `topk.py`
finds the best scores, `sampled_softmax.py` is the loss of the net.
"""
