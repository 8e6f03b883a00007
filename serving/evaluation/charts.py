"""Draws charts as SVG text: lines, dots and bars, without scripts.

Colours are the CSS variables ``--c0``, ``--c1``, ... of the page that contains a chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from streams.printable import printable

WIDTH, HEIGHT = 860, 340
LEFT, RIGHT, TOP, BOTTOM = 52, 170, 14, 40
LABEL_APART = 15
STEPS = (0.005, *(digit * 10.0**power for power in range(-2, 13) for digit in (1, 2, 5)))
"""The distances between the lines of a grid."""


class Series(NamedTuple):
    """A named line of (x, y) points.

    A point without ``y`` is left out. ``colour`` is a number in the page's palette. If ``first`` is
    true, the line is thicker than the others.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    colour: int
    first: bool = False


def lines(series: Sequence[Series], *, ticks: Sequence[tuple[float, str]], x_title: str, y_title: str, dots: bool = False) -> str:
    """Draw lines over a common scale, with their names at the right ends.

    ``ticks`` are places on the x axis with their texts. ``dots`` draws a dot at each point, too.
    """
    values = [y for one in series for _, y in one.points if y is not None] or [0.0, 1.0]
    low, high, step = _scale(min(values), max(values))
    left, right = min(x for x, _ in ticks), max(x for x, _ in ticks)

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / (right - left or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - (y - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_title)} by {escape(x_title)}">']
    y = low
    while y <= high + step / 2:
        _, top = at(left, y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top:.1f}" y2="{top:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{top + 4:.1f}" text-anchor="end">{y:,.{_digits(step)}f}</text>')
        y += step
    for x, text in ticks:
        across, _ = at(x, low)
        for row, line in enumerate(text.split("\n")):
            place = HEIGHT - BOTTOM + 17 + 13 * row
            parts.append(f'<text class="tick" x="{across:.1f}" y="{place}" text-anchor="middle">{escape(line)}</text>')
    for one in sorted(series, key=lambda one: one.first):
        kind = "first" if one.first else "other"
        places = [at(x, value) for x, value in one.points if value is not None]
        path = " ".join(f"{'M' if n == 0 else 'L'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(places))
        parts.append(f'<path class="line {kind} c{one.colour}" d="{path}"/>')
        if dots:
            parts += [f'<circle class="dot c{one.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    parts += _names(series, [at(right, _last(one))[1] for one in series])
    parts.append(f'<text class="tick" x="{LEFT}" y="{TOP - 3}">{escape(y_title)}</text>')
    return "".join([*parts, "</svg>"])


def bars(rows: Sequence[tuple[str, float]]) -> str:
    """Draw horizontal bars, each with its name and its share (0 to 1) in per cent."""
    height, most = 22 * len(rows) + 8, max((value for _, value in rows), default=1) or 1
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="bar chart">']
    for n, (name, value) in enumerate(rows):
        y, width = 4 + 22 * n, value / most * (WIDTH - 290)
        parts.append(f'<text class="name" x="200" y="{y + 14}" text-anchor="end">{escape(printable(name))}</text>')
        parts.append(f'<rect class="bar" x="210" y="{y + 2}" width="{width:.1f}" height="16" rx="2"/>')
        parts.append(f'<text class="tick" x="{216 + width:.1f}" y="{y + 14}">{100 * value:.1f} %</text>')
    return "".join([*parts, "</svg>"])


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Return round limits around the values, and a step that makes four to eight ticks."""
    spread = max(high - low, 0.02)
    step = next(step for step in STEPS if spread / step <= 7)
    return int(low / step) * step, (int(high / step) + 1) * step, step


def _digits(step: float) -> int:
    return 0 if step >= 1 else 1 if step >= 0.1 else 2


def _last(one: Series) -> float:
    return next((y for _, y in reversed(one.points) if y is not None), 0.0)


def _names(series: Sequence[Series], ends: Sequence[float]) -> list[str]:
    """Draw names at the lines' ends, with thin lines to them. Names do not overlap."""
    order = sorted(range(len(series)), key=lambda n: ends[n])
    places = list(ends)
    for before, n in zip([None, *order], order, strict=False):
        places[n] = max(places[n], TOP + 4, (places[before] + LABEL_APART) if before is not None else 0)
    overflow = max([places[n] for n in order], default=0) - (HEIGHT - 6)
    limit = float(HEIGHT - 6)
    for n in reversed(order) if overflow > 0 else ():
        places[n] = min(places[n], limit)
        limit = places[n] - LABEL_APART
    parts = []
    for n, one in enumerate(series):
        x, weight = WIDTH - RIGHT, ' font-weight="700"' if one.first else ""
        parts.append(f'<line class="lead c{one.colour}" x1="{x}" x2="{x + 14}" y1="{ends[n]:.1f}" y2="{places[n]:.1f}"/>')
        parts.append(
            f'<text class="name c{one.colour}" x="{x + 18}" y="{places[n] + 4:.1f}"{weight}>{escape(printable(one.name))}</text>'
        )
    return parts
