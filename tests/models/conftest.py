"""Models change settings of the thread that they run on; here that is the thread of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def a_models_thread() -> Iterator[None]:
    """Use one torch thread, as `warmup` does, and flush no denormals after the test.

    With more threads, some processors add in a different order each time.

    `warmup` also flushes denormals; that is undone, because Hypothesis refuses to make floats on
    such a thread.
    """
    torch.set_num_threads(1)
    yield
    torch.set_flush_denormal(False)
