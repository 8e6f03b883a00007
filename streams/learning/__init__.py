"""The model in a worker: its thread, the replica that ranks, and the logs that the replica follows.

Start with `replica`. `streams.training` writes what the replica follows besides transitions.
"""
