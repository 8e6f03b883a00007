"""`ouzel demo`: a broker, a worker, the live page and a source of events, started with one command.

Start reading in ``demo.py``, which runs everything and watches it; ``stage.py`` starts the
processes. ``brokers.py`` and ``processes.py`` are also used by the tests and by ``make watch``.
"""
