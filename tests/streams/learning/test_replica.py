"""A replica uses its model on the model thread only."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from support.processes.running import fresh_settings

from models.baselines.null import NullRecommender
from streams.learning.model_thread import ModelThread
from streams.learning.replica import Replica
from streams.observing.telemetry import Telemetry


class Watched(NullRecommender):
    """A model of version 7 that notes which threads read its version."""

    def __init__(self) -> None:
        self.readers: list[str] = []
        super().__init__()

    @property
    def steps(self) -> int:
        self.readers.append(threading.current_thread().name)
        return 7

    @steps.setter
    def steps(self, value: int) -> None: ...


async def test_the_popularity_ranking_has_the_version_of_the_model_that_made_it(tmp_path: Path) -> None:
    thread, model = ModelThread(), Watched()
    replica = Replica(fresh_settings("127.0.0.1:1", tmp_path), model, thread, Telemetry())
    recommendation = json.loads(await replica.popular(5, frozenset()))
    assert recommendation["model_version"] == 7
    assert model.readers[1:] == ["model"], "all but the first report, before anything runs"
    thread.stop()
