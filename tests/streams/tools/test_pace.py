from __future__ import annotations

from streams.tools.pace import Pace


def test_the_rate_is_kept_without_drift() -> None:
    now = 50.0
    pace = Pace(lambda: now, rate=10)
    waits = []
    for _ in range(5):
        wait = pace.wait(0)
        waits.append(round(wait, 6))
        now += wait + 0.03  # each send takes a while
    assert waits == [0.0, 0.07, 0.07, 0.07, 0.07]


def test_the_speed_follows_event_time() -> None:
    pace = Pace(lambda: 0.0, speed=60)
    assert [pace.wait(at) for at in (1000, 61_000, 121_000)] == [0.0, 1.0, 2.0]
    assert Pace(lambda: 0.0).wait(5) == 0.0
