"""Names that Gorse, Google Retail, Personalize, GA4, Segment and shops use for an item's fields.

Upper and lower case, hyphens and underscores make no difference: ``IsHidden`` is ``is_hidden``.
Ouzel's own names take precedence, then the aliases in order, then the same names within
``properties``, an object or its JSON text. An alias counts only if its value has a type that the
field can have: the same name may mean something else in a user's own format. Only ``is_hidden``
counts in every case, because it must not be missed. If an item says nothing about ``is_hidden``,
such flags as ``active`` and ``deleted`` do. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from streams.events.bounds import BadRecord, JsonObject
from streams.events.readings import read_flag, read_object
from streams.events.records import Item

ITEM_ALIASES: dict[str, tuple[str, ...]] = {
    "item_id": ("product_id", "id"),
    "item_name": ("title", "name", "product_name", "comment"),
    "categories": ("category", "item_category", "category_l1", "genres", "category_id"),
    "brand": ("brands", "item_brand"),
    "price": ("priceInfo.price",),
    "currency": ("currency_code", "priceInfo.currencyCode"),
    "is_hidden": ("hidden",),
    "available": ("is_available", "availability", "in_stock", "stock_status"),
    "stock": ("available_quantity", "stock_quantity", "inventory_quantity", "stock_level"),
    "available_from": ("available_time", "availability_date"),
    "expires_at": ("expire_time", "expiration_date", "valid_until", "expires", "expiry_date", "valid_to"),
    "created_at": ("creation_timestamp", "publish_time", "timestamp"),
    "labels": (),
}
"""Other names of each field of `Item`. A name after a dot is within the object before it."""

FURTHER_CATEGORIES: dict[str, tuple[str, ...]] = {
    "item_category": ("item_category2", "item_category3", "item_category4", "item_category5"),
    "category_l1": ("category_l2", "category_l3"),
}
"""Names that are read with a name of ``categories``: each has one more category."""

SHOWN_IF_TRUE = ("active", "is_active", "enabled", "is_enabled", "visible", "is_visible", "published", "is_published")
HIDDEN_IF_TRUE = ("deleted", "is_deleted", "archived", "is_archived", "disabled", "is_disabled")
"""Flags of shops that hide an item. They count if they are flags; a ``published`` may be a date."""
STATUS = ("status", "visibility", "catalog_visibility")
HIDDEN_STATUS = frozenset({"hidden", "draft", "archived", "inactive", "disabled", "deleted", "unpublished", "private"})
"""The names of a shop's word for the state of an item, and the words that hide it."""

PROPERTIES = "properties"
MAX_ALIAS_LENGTH = 32
_SEPARATOR = re.compile(r"(?<=[a-z0-9])[-_ ]")
_TYPES: dict[str, tuple[type, ...]] = {
    "categories": (str, int, float, list),
    "brand": (str, int, float, list),
    "labels": (str, list, dict),
}
_SCALAR = (str, int, float)
_Path = tuple[str, ...]


class NamedFields(NamedTuple):
    """The fields of an item under Ouzel's names, without those that are null or an empty text.

    An ``item_id`` that is an empty text is kept. ``bad_properties`` says why ``properties`` is
    unreadable, if it is an object or looks like one.
    """

    fields: JsonObject
    bad_properties: BadRecord | None


@lru_cache(maxsize=1024)
def _plain(name: str) -> str:
    """Return the name in lower case without separators. A leading underscore stays."""
    return _SEPARATOR.sub("", name.lower())


_OURS = frozenset(Item.__struct_fields__)
_PATHS: dict[str, tuple[_Path, ...]] = {
    name: tuple(tuple(map(_plain, path.split("."))) for path in (name, *ITEM_ALIASES[name])) for name in Item.__struct_fields__
}
_FURTHER = {_plain(name): tuple(map(_plain, more)) for name, more in FURTHER_CATEGORIES.items()}
_HIDING = tuple((_plain(name), names is HIDDEN_IF_TRUE) for names in (SHOWN_IF_TRUE, HIDDEN_IF_TRUE) for name in names)
_SINGULAR = frozenset(_plain(name) for name in ("category", "item_category", "category_l1", "category_id"))


def named_fields(raw: Mapping[str, object]) -> NamedFields:
    """Return the fields of an item under Ouzel's names."""
    fields = {name: value for name, value in raw.items() if name in _OURS and value is not None and value != ""}
    if raw.get("item_id") == "":
        fields["item_id"] = ""
    if raw.keys() <= _OURS:
        return NamedFields(fields, None)
    inner, bad = _properties(raw.get(PROPERTIES))
    for container in (raw, inner):
        named = _by_plain_name(container)
        for name, paths in _PATHS.items():
            # An id within properties may be that of anything.
            if name not in fields and (name != "item_id" or container is raw):
                value = _first(named, name, paths)
                if value is not None:
                    fields[name] = value
        if "is_hidden" not in fields and _is_hidden(named):
            fields["is_hidden"] = True
    return NamedFields(fields, bad)


def _is_hidden(named: Mapping[str, object]) -> bool:
    """Tell whether one of the flags of shops, or its status, hides the item."""
    if any(str(named.get(_plain(name))).strip().lower() in HIDDEN_STATUS for name in STATUS):
        return True
    for name, hides in _HIDING:
        if name in named:
            with suppress(BadRecord):
                if read_flag(name, named[name]) is hides:
                    return True
    return False


def _first(named: Mapping[str, object], field: str, paths: tuple[_Path, ...]) -> object:
    """Return the value of the first path whose value has a type that the field can have."""
    for name, *inner in paths:
        value = named.get(name)
        for part in inner:
            value = _by_plain_name(value).get(part) if isinstance(value, dict) else None
        if value is not None and (field == "is_hidden" or isinstance(value, _TYPES.get(field, _SCALAR))):
            return _categories(named, name, value) if name in _SINGULAR else value
    return None


def _categories(named: Mapping[str, object], name: str, value: object) -> object:
    """Return the categories of a name such as ``category``, and of the names that follow it.

    Only ``|`` separates them: a comma may be part of one. JSON text is returned as it is.
    """
    if isinstance(value, list) or (isinstance(value, str) and value.lstrip().startswith("[")):
        return value
    more = (named.get(other) for other in _FURTHER.get(name, ()))
    values = [value, *(other for other in more if isinstance(other, _SCALAR))]
    return [part for one in values for part in (map(str.strip, one.split("|")) if isinstance(one, str) else [one])]


def _properties(value: object) -> tuple[JsonObject, BadRecord | None]:
    if isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{")):
        try:
            return read_object(PROPERTIES, value), None
        except BadRecord as bad:
            return {}, bad
    return {}, None


def _by_plain_name(fields: Mapping[str, object]) -> JsonObject:
    """Return the present values by plain name. Of several spellings, the first counts."""
    named: JsonObject = {}
    for name, value in fields.items():
        if len(name) <= MAX_ALIAS_LENGTH and _present(value):
            named.setdefault(_plain(name), value)
    return named


def _present(value: object) -> bool:
    return value is not None and value != ""
