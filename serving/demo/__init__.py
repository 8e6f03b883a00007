"""`ouzel demo`: a broker, a worker, the live page and a source of events, started with one command.

Start reading in ``demo.py``, which runs and watches everything; ``stage.py`` starts the processes.
The tests and ``make watch`` use ``brokers.py`` and ``processes.py``, too.
"""
