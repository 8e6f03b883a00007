"""Models prepare the thread they live on; here that is the one of every other test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def denormals_come_back() -> Iterator[None]:
    """`warmup` flushes denormals, and Hypothesis rightly refuses to make floats on such a thread."""
    yield
    torch.set_flush_denormal(False)
