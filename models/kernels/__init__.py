"""Numeric building blocks on arrays that know nothing of items or sessions: numba kernels, matrix products, Adam.

Start with `numerics.py`: its options, constants and types are used in every other kernel. `topk.py`
finds the best scores, `sampled_softmax.py` is the loss of the net.
"""
