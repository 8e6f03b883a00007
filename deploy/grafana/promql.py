"""PromQL of the panels. It keeps to the processes that are picked above the dashboard, and to Grafana's rate window."""

from __future__ import annotations

PICKED = 'job=~"$job", instance=~"$instance"'
"""The processes that are picked; `domain` narrows down which can be."""

PICKED_DOMAIN = 'domain=~"$domain"'
"""The same for what is recorded per domain."""


def series(metric: str, where: str = "") -> str:
    """A metric of the picked processes; ``where`` are more matchers."""
    return f"{metric}{{{PICKED}{', ' + where if where else ''}}}"


def total(metric: str, by: str = "", where: str = "") -> str:
    """A gauge's sum over the picked processes, by labels."""
    return _sum(series(metric, where), by)


def rate(counter: str, by: str = "", where: str = "") -> str:
    """A counter's growth per second, summed over the picked processes, by labels."""
    return _sum(f"rate({series(counter, where)}[$__rate_interval])", by)


def quantile(q: float, histogram: str, by: str = "", where: str = "") -> str:
    """A quantile of what a histogram has seen within the rate window."""
    return f"histogram_quantile({q:g}, {rate(histogram + '_bucket', 'le' + (', ' + by if by else ''), where)})"


def mean(histogram: str, by: str = "", where: str = "") -> str:
    """The mean of what a histogram has seen within the rate window."""
    return f"{rate(histogram + '_sum', by, where)} / {rate(histogram + '_count', by, where)}"


def share(part: str, whole: str, *, of_part: str = "", of_whole: str = "", by: str = "", window: str = "$__rate_interval") -> str:
    """One counter's growth as a share of another's within a window, by labels of the part."""
    grown = _sum(f"increase({series(part, of_part)}[{window}])", by)
    out_of = _sum(f"increase({series(whole, of_whole)}[{window}])", "")
    return f"{grown} / on () group_left () {out_of}" if by else f"({grown} or vector(0)) / {out_of}"


def _sum(expression: str, by: str) -> str:
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def recorded(name: str) -> str:
    """What the rules record of the picked domains."""
    return f"{name}{{{PICKED_DOMAIN}}}"


def live(measure: str, where: str = "", by: str = "") -> str:
    """A live accuracy of late (`recall`, `mrr`, `ndcg`) at 20, the mean of the picked workers."""
    of = series(f"ouzel_live_{measure}", f'k="20"{", " + where if where else ""}')
    return f"avg by ({by}) ({of})" if by else f"avg({of})"


def per_popularity(measure: str = "recall") -> str:
    """The model's accuracy as a multiple of popularity's."""
    model, popularity = (live(measure, f'method="{method}"') for method in ("model", "popularity"))
    return f"{model} / {popularity}"
