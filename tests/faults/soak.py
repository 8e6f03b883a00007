"""The soak: hours of load with random faults. Nothing may be lost, and resource use must stay flat.

``HOURS=1 python -m faults.soak`` on an Apache Kafka (KAFKA_HOME). SEED repeats the faults of a run.
Prints each fault and the verdict, which it also writes to build/soak.json.
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from faults.rig import Rig, send
from support.processes.running import WorkerProcess

RATE = 200.0
PAUSE_S = 20.0
FROZEN_S = 9.0
FLAT = 1.3
"""The greatest ratio of medians, last third of the samples to middle third, that counts as flat."""


class Usage(NamedTuple):
    """What one worker uses at one time."""

    memory_mb: float
    descriptors: int
    disk_mb: float


def sample(worker: WorkerProcess) -> Usage | None:
    """What the worker uses now; ``None`` if it has just ended."""
    assert worker.process is not None
    process = Path(f"/proc/{worker.process.pid}")
    try:
        memory = worker.memory_mb()
        descriptors = len(list((process / "fd").iterdir()))
        disk = sum(path.stat().st_size for path in worker.settings.data_dir.rglob("*") if path.is_file()) / 1e6
    except (OSError, IndexError):
        return None
    return Usage(memory, descriptors, disk)


def kill(rig: Rig, rng: random.Random) -> None:
    """kill -9 a worker."""
    victim = rng.choice(rig.workers)
    victim.kill()
    rig.restart(victim)


def terminate(rig: Rig, rng: random.Random) -> None:
    """SIGTERM a worker."""
    victim = rng.choice(rig.workers)
    victim.stop(20)
    rig.restart(victim)


def freeze(rig: Rig, rng: random.Random) -> None:
    """SIGSTOP a worker for longer than its session timeout."""
    victim = rng.choice(rig.workers)
    send(victim, signal.SIGSTOP)
    rig.wait(FROZEN_S)
    send(victim, signal.SIGCONT)


def lose_disk(rig: Rig, rng: random.Random) -> None:
    """kill -9 a worker and delete its data directory."""
    victim = rng.choice(rig.workers)
    victim.kill()
    rig.wipe(victim)
    rig.restart(victim)


def kill_broker(rig: Rig, rng: random.Random) -> None:
    """kill -9 the broker."""
    rig.broker.kill()
    rig.broker.restart()
    rig.keep_alive()


FAULTS: list[Callable[[Rig, random.Random], None]] = [kill, terminate, freeze, lose_disk, kill_broker]


def flat(values: list[float]) -> bool:
    """Whether the last third is not higher than the middle third, apart from noise."""
    third = len(values) // 3
    return third == 0 or statistics.median(values[-third:]) <= FLAT * max(statistics.median(values[third : 2 * third]), 1)


def main() -> None:
    """Run the soak. The exit code is 1 if something was lost or is not flat."""
    home, hours, seed = os.environ.get("KAFKA_HOME"), float(os.environ.get("HOURS") or 1), int(os.environ.get("SEED") or 0)
    if not home:
        sys.exit("KAFKA_HOME is not set: the soak needs a folder with Apache Kafka")
    rng, samples, done = random.Random(seed), list[Usage](), list[str]()
    with tempfile.TemporaryDirectory(prefix="ouzel-soak-") as folder:
        rig = Rig(
            Path(home), Path(folder), 1.0, rate=RATE, model="hybrid", encoder="recency", profile="fast", snapshot_every_s=10.0
        )
        with rig:
            until = time.monotonic() + hours * 3600
            while time.monotonic() < until:
                rig.wait(PAUSE_S)
                samples += [taken for worker in rig.workers if (taken := sample(worker)) is not None]
                fault = rng.choice(FAULTS)
                began = time.monotonic()
                fault(rig, rng)
                took = rig.fresh_since(began)
                rig.ready()
                done.append(fault.__name__)
                print(f"{fault.__name__}: fresh again after {took:.1f} s; {samples[-1] if samples else ''}", flush=True)
            events = rig.finish()
            result = rig.judge("soak", events, may_repeat=True)
    result["faults"] = {name: done.count(name) for name in sorted(set(done))}
    result["flat"] = {name: flat([float(getattr(taken, name)) for taken in samples]) for name in Usage._fields}
    result["last"] = samples[-1]._asdict() if samples else {}
    result["ok"] = result["ok"] and all(result["flat"].values())
    Path("build").mkdir(exist_ok=True)
    Path("build/soak.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
    sys.exit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
