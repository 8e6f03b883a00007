"""`ouzel evaluate`: measures how well each method predicts recorded behaviour, and what it costs.

Start reading in ``evaluating.py``, which evaluates one method in a process of its own.
``report.py`` and ``charts.py`` turn the results of all methods into one HTML page; ``yardstick.py``
measures the machine, so that results can be compared; ``data.py`` finds data sets by name.
"""
