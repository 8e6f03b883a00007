"""The report of an evaluation: tables and charts in one HTML file without scripts.

Its Content-Security-Policy allows its own style and nothing else: no script, image or connection.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from html import escape
from typing import Any

from serving.evaluation.charts import Series, bars, lines
from streams.printable import code_points, printable

Points = list[tuple[float, float | None]]

COLOURS = 12
BARS = 15
CSS = """
:root { --ink: #1c2327; --dim: #5d6a70; --rule: #dde3e6; --ground: #fff; --mark: #eef6f4;
  --c0: #00614f; --c1: #b5540b; --c2: #3f66b8; --c3: #a23b72; --c4: #7a7a1d; --c5: #1f8a9c; --c6: #8a5a3c; --c7: #6a51a3;
  --c8: #c23b3b; --c9: #4a7a3a; --c10: #5a6b7a; --c11: #a8842c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4eaec; --dim: #98a6ac; --rule: #33404a; --ground: #151b1f; --mark: #1d2c2a;
  --c0: #45c9ab; --c1: #f0994f; --c2: #8aaef5; --c3: #e08ab6; --c4: #c9c95a; --c5: #62c6d6; --c6: #cf9d7a; --c7: #b39ddb;
  --c8: #f08080; --c9: #9ccc84; --c10: #a9b8c4; --c11: #dcbb66; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 76rem; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; text-align: left; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; }
p { max-width: 46rem; } .dim, figcaption, dd { color: var(--dim); }
pre { background: var(--mark); padding: .6rem .9rem; overflow-x: auto; border-radius: 4px; font-size: .85rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .32rem .4rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { font-weight: 600; color: var(--dim); vertical-align: bottom; } th:first-child, td:first-child { text-align: left; }
tr.first td { background: var(--mark); } td small { color: var(--dim); }
figure { margin: .5rem 0 0; } svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
.grid { stroke: var(--rule); } .tick { fill: var(--dim); } .name { fill: var(--ink); } .bar { fill: var(--c0); }
.mark { margin: 0 .15em; padding: 0 .3em; border: 1px solid var(--c1); border-radius: 4px; color: var(--c1);
  font: .72em ui-monospace, monospace; vertical-align: .12em; white-space: nowrap; unicode-bidi: isolate; }
.line { fill: none; stroke-width: 1.4; opacity: .75; } .line.first { stroke-width: 3; opacity: 1; } .lead { opacity: .6; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; font-size: .86rem; } dd { margin: 0; }
""" + "".join(
    f"path.c{n}, line.c{n} {{ stroke: var(--c{n}); }} text.c{n}, circle.c{n} {{ fill: var(--c{n}); }}\n" for n in range(COLOURS)
)
POLICY = "; ".join((
    "default-src 'none'",
    f"style-src 'sha256-{b64encode(sha256(CSS.encode()).digest()).decode()}'",
    "base-uri 'none'",
    "form-action 'none'",
))  # fmt: skip
MEANINGS = {
    "recall@k": "share of predictions in which the next item is among the first k",
    "±": "half of a 95 % confidence interval (bootstrap over sessions)",
    "mrr@k": "mean of 1 / rank of the next item; 0 if its rank is greater than k",
    "ndcg@k": "mean of 1 / log2(rank + 1) of the next item; 0 if its rank is greater than k",
    "f1@k": "harmonic mean of recall and precision; each prediction has one right answer among k",
    "coverage": "share of the known items that were recommended at least once",
    "long tail": "share of recommended positions with an item outside the most popular 20 %",
    "repeat": "share of recommended positions with one of the last 20 items of the session",
    "cold item": "recall for items that had occurred fewer than ten times before",
    "cold session": "recall after the first click of a session",
    "events/s": "events predicted and learned per second of CPU time, on one core",
    "CPU s": "CPU time of the predictions and the learning, in seconds",
    "MB": "peak memory of the whole process, in megabytes",
}


def render(result: Mapping[str, Any]) -> str:
    """Return the report of a result of `ouzel evaluate`, as HTML."""
    k, methods = result["k"], result["methods"]
    order = sorted(methods, key=lambda name: -methods[name][f"recall@{k}"])
    best, measures = order[0], methods[order[0]]
    colours = {name: n % COLOURS for n, name in enumerate(order)}
    sections = [
        f'<h1 dir="auto">{marked(str(result["dataset"]))}</h1>',
        f'<p class="dim">{result["events"]:,} events, {result["predictions"]:,} predictions, {result["items"]:,} items; '
        f"{marked(result['mode'])}, seed {result['seed']}.</p>",
        f'<p>Highest recall: <b dir="auto">{marked(best)}</b>. The next item is among its first {k} recommendations in '
        f"{100 * measures[f'recall@{k}']:.1f} % of the predictions; the mean reciprocal rank is {measures[f'mrr@{k}']:.3f}.</p>",
        f"<pre>{marked(result['command'])}</pre>",
        _table(methods, order, k),
        f'<p class="dim">Speed of this machine: {result["yardstick_gflops"]:.0f} GFLOP/s in a float32 matrix product.</p>',
        _charts(result, order, colours, k),
        _all_cutoffs(methods, order),
        "<h2>What the columns mean</h2><dl>",
        *(f"<dt>{escape(name)}</dt><dd>{escape(meaning)}</dd>" for name, meaning in MEANINGS.items()),
        "</dl>",
    ]
    head = f"<title>Evaluation: {escape(printable(str(result['dataset'])))}</title><style>{CSS}</style>"
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    view = f'<meta charset="utf-8">{policy}<meta name="viewport" content="width=device-width, initial-scale=1">'
    return f'<!doctype html><html lang="en"><head>{view}{head}</head><body>{"".join(sections)}</body></html>\n'


def marked(text: str) -> str:
    """Return a text as HTML, with each invisible character as a small box with its code point.

    An override of the text direction could show a name as another one.
    """
    html = list[str]()
    for part, code in code_points(text):
        html.append(escape(part))
        if code:
            html.append(f'<span class="mark" title="Invisible character {code}">{code}</span>')
    return "".join(html)


def _table(methods: Mapping[str, Any], order: list[str], k: int) -> str:
    columns: list[tuple[str, str, Callable[[float], str], bool]] = [
        (f"recall@{k}", f"recall@{k}", _share, True),
        (f"mrr@{k}", f"mrr@{k}", _share, True),
        (f"ndcg@{k}", f"ndcg@{k}", _share, True),
        (f"f1@{k}", f"f1@{k}", _share, True),
        ("coverage", f"coverage@{k}", _share, True),
        ("long tail", f"long_tail@{k}", _share, True),
        ("repeat", f"repeat@{k}", _share, False),
        ("cold item", f"cold_item_recall@{k}", _share, True),
        ("cold session", f"cold_session_recall@{k}", _share, True),
        ("events/s", "events_per_second", lambda value: f"{value:,.0f}", True),
        ("CPU s", "cpu_seconds", lambda value: f"{value:.1f}", False),
        ("MB", "peak_memory_mb", lambda value: f"{value:,.0f}", False),
    ]
    html = ['<div class="wide"><table><thead><tr><th>method</th>', *(f"<th>{title}</th>" for title, *_ in columns)]
    html.append("</tr></thead><tbody>")
    for name in order:
        html.append(f"<tr{' class=first' if name == order[0] else ''}><td>{marked(name)}</td>")
        for _, key, shown, high in columns:
            value = methods[name].get(key)
            text = "–" if value is None else shown(value)
            if high and value is not None and value == max(methods[other].get(key) or 0 for other in order):
                text = f"<b>{text}</b>"
            if (low := methods[name].get(f"{key}_low")) is not None:
                text += f" <small>±{(methods[name][f'{key}_high'] - low) / 2:.3f}</small>"
            html.append(f"<td>{text}</td>")
        html.append("</tr>")
    return "".join([*html, "</tbody></table></div>"])


def _charts(result: Mapping[str, Any], order: list[str], colours: Mapping[str, int], k: int) -> str:
    methods, parts = result["methods"], list[str]()

    def series(points: Callable[[Mapping[str, Any]], Points]) -> list[Series]:
        return [Series(name, points(methods[name]), colours[name], first=name == order[0]) for name in order]

    def figure(title: str, chart: str, caption: str) -> None:
        parts.append(f"<h2>{title}</h2><figure>{chart}<figcaption>{caption}</figcaption></figure>")

    if any(methods[name]["curve"] for name in order):
        events = result["events"]
        ticks = [(events * n / 5, f"{events * n / 5:,.0f}") for n in range(6)]
        curves = series(lambda measures: [(float(at), value) for at, value in measures["curve"]])
        chart = lines(curves, ticks=ticks, x_title="events", y_title=f"recall@{k}")
        figure("Recall over the stream", chart, f"recall@{k} in each fortieth of the stream, by the number of events so far")
    for title, key, what in (
        ("Recall by position in the session", "by_position", "clicks before the prediction"),
        ("Recall by popularity of the item", "by_popularity", "earlier occurrences of the item"),
    ):
        groups = [group for group in methods[order[0]][key] if group[1]]
        ticks = [(float(n), f"{name}\n{count:,}") for n, (name, count, _) in enumerate(groups)]
        dots = series(partial(_by_group, key))
        chart = lines(dots, ticks=ticks, x_title=what, y_title=f"recall@{k}", dots=True)
        figure(title, chart, f"recall@{k} by {what}; the number below each group is its number of predictions")
    for name in order:
        if gate := methods[name].get("gate"):
            chart = bars([(feature, share) for feature, share in gate[:BARS]])
            caption = "how much each feature changes the scores of the gate, as a share of all, over its latest stored queries"
            figure(f"Feature importance in the {marked(name)} model", chart, caption)
    return "".join(parts)


def _by_group(key: str, measures: Mapping[str, Any]) -> Points:
    """Return the recall of each group that has predictions."""
    return [(float(n), group[2]) for n, group in enumerate(group for group in measures[key] if group[1])]


def _all_cutoffs(methods: Mapping[str, Any], order: list[str]) -> str:
    kinds = ("recall", "precision", "f1", "mrr", "ndcg")
    cuts = sorted(int(key.partition("@")[2]) for key in methods[order[0]] if key.startswith("precision@"))
    html = ["<details><summary>All cutoffs</summary><div class=wide><table><thead><tr><th>method</th>"]
    html += [f"<th>{kind}@{cut}</th>" for kind in kinds for cut in cuts]
    html.append("</tr></thead><tbody>")
    for name in order:
        cells = "".join(f"<td>{_share(methods[name][f'{kind}@{cut}'])}</td>" for kind in kinds for cut in cuts)
        html.append(f"<tr><td>{marked(name)}</td>{cells}</tr>")
    return "".join([*html, "</tbody></table></div></details>"])


def _share(value: float) -> str:
    return f"{value:.4f}"
