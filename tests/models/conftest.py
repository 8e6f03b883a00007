"""Models prepare the thread they live on; here that is the one of every other test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def a_models_thread() -> Iterator[None]:
    """One torch thread, as `warmup` leaves it: with more, some processors add in another order each time.

    `warmup` also flushes denormals, and Hypothesis rightly refuses to make floats on such a thread.
    """
    torch.set_num_threads(1)
    yield
    torch.set_flush_denormal(False)
