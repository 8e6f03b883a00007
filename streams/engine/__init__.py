"""Faust and aiokafka, with the parts replaced that lose work or are too slow for Ouzel.

Start at `faust_app.py`, which builds the app and lists Faust's settings. Then read `consumer.py`,
in which a poll becomes a unit of work. Private parts of both libraries are reached through
`upstream.py` only.
"""
