"""The methods by name.

A method's module is imported when the method is built, because numba and torch take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from models.recommender import Recommender


class Method(NamedTuple):
    """A method's class, fixed arguments, and options besides ``seed`` and ``max_items``."""

    module: str
    name: str
    fixed: dict[str, Any]
    options: tuple[str, ...]


def _baseline(module: str, name: str) -> Method:
    return Method(f"models.baselines.{module}", name, {}, ())


METHODS = {
    "popularity": _baseline("popularity", "Popularity"),
    "decayed_popularity": _baseline("popularity", "DecayedPopularity"),
    "repeats": _baseline("experts", "Repeats"),
    "backward": _baseline("experts", "Backward"),
    "markov": _baseline("experts", "Markov"),
    "fast_markov": _baseline("experts", "FastMarkov"),
    "rules": _baseline("experts", "Rules"),
    "fast_rules": _baseline("experts", "FastRules"),
    "cooccurrence": _baseline("experts", "Cooccurrence"),
    "vmis_knn": _baseline("vmis_knn", "VMISKNN"),
    "fixed_sum": _baseline("experts", "FixedSum"),
    "recency_alone": Method("models.baselines.net_alone", "NetAlone", {"encoder": "recency"}, ("profile",)),
    "gru_alone": Method("models.baselines.net_alone", "NetAlone", {"encoder": "gru"}, ("profile",)),
    "hybrid": Method("models.hybrid", "Hybrid", {}, ("encoder", "profile", "frozen", "exact_items")),
}
"""Every method that learns, the simplest first."""


def build(name: str, seed: int = 0, **options: Any) -> Recommender:
    """Make the model of this name.

    Options that it does not have are ignored; an unknown name raises ``ValueError``.
    """
    if name == "null":
        from models.baselines.null import NullRecommender  # noqa: PLC0415

        return NullRecommender()
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; choose one of {', '.join(METHODS)}")
    method = METHODS[name]
    known = {key: value for key, value in options.items() if key in ("max_items", *method.options)}
    made: Recommender = getattr(import_module(method.module), method.name)(seed=seed, **method.fixed, **known)
    return made
