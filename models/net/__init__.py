"""The net: item embeddings and an encoder, trained online.

Start with `net.py`: scoring, one training step, and its state. `trained.py` exchanges parameters
between learner and followers, `guard.py` detects divergence, and `ghosts.py` lets a ranking use
items that the transitions log has not delivered yet.
"""
