from __future__ import annotations

import pytest

from serving.progress import progress_bar


def test_without_a_terminal_a_progress_bar_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(transient=True) as bar:
        assert list(bar.track(range(3), description="learning")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")
