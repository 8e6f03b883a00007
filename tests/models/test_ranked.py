"""Which rows can be among the most popular."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.ranked import contenders


@given(size=st.integers(0, 3000), n=st.integers(1, 60), seed=st.integers(0, 1000), share=st.sampled_from([0.0, 0.01, 0.5, 1.0]))
def test_no_row_of_the_best_is_missing(size: int, n: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, 50, size) * (rng.random(size) < share)).astype(np.float32)
    rows = contenders(scores, n)
    assert (np.diff(rows) > 0).all()
    if len(rows):
        nth = np.sort(scores)[-n]
        assert nth > 0
        assert set(np.flatnonzero(scores >= nth)) <= set(rows.tolist())
