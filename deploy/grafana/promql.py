"""PromQL expressions of the panels.

They select the processes that are chosen above the dashboard, and use Grafana's rate window.
"""

from __future__ import annotations

SELECTED = 'job=~"$job", instance=~"$instance"'
"""Matches the processes that are selected above the dashboard, within the selected `domain`."""

SELECTED_DOMAIN = 'domain=~"$domain"'
"""Matches the chosen domains, for series that recording rules make per domain."""


def series(metric: str, where: str = "") -> str:
    """A metric of the selected processes; ``where`` adds matchers."""
    return f"{metric}{{{SELECTED}{', ' + where if where else ''}}}"


def total(metric: str, by: str = "", where: str = "") -> str:
    """The sum of a gauge over the selected processes, by labels."""
    return _sum(series(metric, where), by)


def rate(counter: str, by: str = "", where: str = "") -> str:
    """The growth of a counter per second, summed over the selected processes, by labels."""
    return _sum(f"rate({series(counter, where)}[$__rate_interval])", by)


def quantile(q: float, histogram: str, by: str = "", where: str = "") -> str:
    """A quantile of a histogram over the rate window."""
    return f"histogram_quantile({q:g}, {rate(histogram + '_bucket', 'le' + (', ' + by if by else ''), where)})"


def mean(histogram: str, by: str = "", where: str = "") -> str:
    """The mean of a histogram over the rate window."""
    return f"{rate(histogram + '_sum', by, where)} / {rate(histogram + '_count', by, where)}"


def share(part: str, whole: str, *, of_part: str = "", of_whole: str = "", by: str = "", window: str = "$__rate_interval") -> str:
    """The growth of one counter as a share of another's over a window, by labels of the part."""
    grown = _sum(f"increase({series(part, of_part)}[{window}])", by)
    out_of = _sum(f"increase({series(whole, of_whole)}[{window}])", "")
    return f"{grown} / on () group_left () {out_of}" if by else f"({grown} or vector(0)) / {out_of}"


def _sum(expression: str, by: str) -> str:
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def recorded(name: str) -> str:
    """A series of the recording rules, for the selected domains."""
    return f"{name}{{{SELECTED_DOMAIN}}}"


def live(measure: str, where: str = "", by: str = "") -> str:
    """A recent live accuracy (`recall`, `mrr`, `ndcg`) at 20, the mean of the selected workers."""
    of = series(f"ouzel_live_{measure}", f'k="20"{", " + where if where else ""}')
    return f"avg by ({by}) ({of})" if by else f"avg({of})"


def per_popularity(measure: str = "recall") -> str:
    """The accuracy of the model as a multiple of the accuracy of popularity."""
    model, popularity = (live(measure, f'method="{method}"') for method in ("model", "popularity"))
    return f"{model} / {popularity}"
