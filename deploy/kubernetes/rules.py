"""The Prometheus Operator's form of the rules in deploy/prometheus, which stay their only source.

`make rules` makes it after a change of them; a test compares. kustomize can neither read outside of its folder
nor put a file under a key.
"""

from __future__ import annotations

from pathlib import Path

SOURCES = Path(__file__).parents[1] / "prometheus" / "rules"
MADE = Path(__file__).parent / "monitoring" / "rules.yaml"
HEAD = """\
# Made by `make rules` of deploy/prometheus/rules; do not edit.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ouzel
  labels:
    app.kubernetes.io/part-of: ouzel
spec:
  groups:
"""


def groups(text: str) -> str:
    """The groups of a rule file, as they stand, two columns further in."""
    _, found, below = text.partition("\ngroups:\n")
    if not found:
        raise ValueError("a rule file wants a line that says groups:")
    return "".join(f"  {line}" if line.strip() else line for line in below.splitlines(keepends=True))


def prometheus_rule() -> str:
    """The manifest of all rule files, in order of their names."""
    return HEAD + "".join(groups("\n" + path.read_text()) for path in sorted(SOURCES.glob("*.yml")))


if __name__ == "__main__":
    MADE.write_text(prometheus_rule())
