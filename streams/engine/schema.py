"""A Faust schema that leaves messages alone: a unit's value is its records."""

from __future__ import annotations

from typing import Any

import faust


class RawSchema(faust.Schema):  # type: ignore[type-arg]
    """Key and value as the consumer made them."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        return message.value
