"""`python -m deploy.grafana`: writes the JSON of the dashboards, which Grafana loads."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.intake import intake
from deploy.grafana.model import model
from deploy.grafana.overview import overview
from deploy.grafana.pipeline import pipeline
from deploy.grafana.serving import serving

FOLDER = Path(__file__).parent / "dashboards"
BOARDS = (overview, pipeline, model, serving, intake)


def text(board: Dashboard) -> str:
    """A dashboard as JSON. Every run makes the same text."""
    return json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def files() -> dict[Path, str]:
    """The text of every dashboard, by its file."""
    return {FOLDER / f"{board.__name__}.json": text(board()) for board in BOARDS}


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content)
