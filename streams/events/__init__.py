"""The records on the topics, their bounds, and how the bytes that users send become events.

Everything here is pure. Start with `records` (the schemas), then `decode` (bytes to events).
"""
