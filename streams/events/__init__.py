"""What travels on the topics: the records, their bounds, and how the bytes of users become events.

Everything here is pure. Start with `records` (the schemas), then `decode` (bytes to events).
"""
