"""What one `ouzel serve` process keeps in memory: rankings, catalogue, experts, keys, figures.

Everything but the keys comes from Kafka's topics, and is read again after each start. Nothing here
knows HTTP. Start reading at `service`, which owns the rest and keeps it up to date.
"""
