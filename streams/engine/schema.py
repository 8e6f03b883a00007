"""A Faust schema that does not decode: a message's value is the unit that the consumer made."""

from __future__ import annotations

from collections.abc import Callable

import faust
from faust.types import AppT, CodecArg, Message


class RawSchema(faust.Schema[bytes | None, bytes | None]):
    """Key and value as the consumer made them: Faust's own schema would decode both."""

    def loads_key(
        self, app: AppT, message: Message, *, loads: Callable[..., object] | None = None, serializer: CodecArg = None
    ) -> bytes | None:
        """Return the key as it is."""
        return message.key

    def loads_value(
        self, app: AppT, message: Message, *, loads: Callable[..., object] | None = None, serializer: CodecArg = None
    ) -> bytes | None:
        """Return the value as it is: a `Unit`, whose records the pipeline decodes."""
        return message.value
