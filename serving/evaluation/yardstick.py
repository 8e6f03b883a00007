"""Measures how fast this machine is now, so that the figures of different runs can be compared."""

from __future__ import annotations

import time

SIZE, TIMES = 512, 40


def gigaflops() -> float:
    """Measure GFLOP per second of CPU time in a float32 product of 512 x 512 matrices.

    It uses one thread. The result is the median of five measurements, after one that warms up.
    """
    import torch  # noqa: PLC0415  takes a second to import

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a, b = torch.ones(SIZE, SIZE), torch.ones(SIZE, SIZE)
        speeds = []
        for _ in range(6):
            began = time.process_time()
            for _ in range(TIMES):
                torch.mm(a, b)
            speeds.append(TIMES * 2 * SIZE**3 / (time.process_time() - began) / 1e9)
        return sorted(speeds[1:])[2]
    finally:
        torch.set_num_threads(threads)
