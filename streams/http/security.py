"""Response headers that keep browsers from misusing an answer."""

from __future__ import annotations

SECURITY_HEADERS = [("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin")]
"""Sent with every answer: a page of another site can neither embed it nor read it as a script."""
