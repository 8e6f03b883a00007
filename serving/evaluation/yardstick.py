"""How fast this machine is right now, so that figures of different runs can be compared."""

from __future__ import annotations

import time

SIZE, TIMES = 512, 40


def gigaflops() -> float:
    """Float32 GFLOP per second of CPU time of a product of 512 x 512 matrices, on one thread: the median of five tries."""
    import torch  # noqa: PLC0415  takes a second to import

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        a, b = torch.ones(SIZE, SIZE), torch.ones(SIZE, SIZE)
        tries = []
        for _ in range(6):
            began = time.process_time()
            for _ in range(TIMES):
                torch.mm(a, b)
            tries.append(TIMES * 2 * SIZE**3 / (time.process_time() - began) / 1e9)
        return sorted(tries[1:])[2]
    finally:
        torch.set_num_threads(threads)
