"""What one `ouzel serve` process keeps in memory: rankings, catalogue, experts, keys, figures.

All of it is read from Kafka's topics and can be read again. Nothing here knows HTTP. Start reading
at `service`, which owns the rest and keeps it up to date.
"""
