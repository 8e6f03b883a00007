"""Training: the trainer is a process of its own, which learns and publishes what it has learned.

Start with `trainer`, its work, and `process`, its life. `child` is the other side: it starts the
process for the worker that the group has elected, or for `ouzel learner`.
"""
