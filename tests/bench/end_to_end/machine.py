"""What a benchmark ran on: the machine, the versions, the commit, and how fast the machine is."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.evaluation.yardstick import gigaflops

ROOT = Path(__file__).parents[3]
PACKAGES = ("torch", "numba", "aiokafka", "faust-streaming", "rocksdict")


def describe(kafka_home: Path) -> dict[str, Any]:
    """The machine and the versions. The yardstick takes a few seconds."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": _kafka(kafka_home),
        "packages": {name: version(name) for name in PACKAGES},
        "commit": _commit(),
        "yardstick_gflops": gigaflops(),
    }


def _processor() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found[1].strip() if found else platform.machine()


def _kafka(home: Path) -> str:
    """The version of an unpacked Apache Kafka, by the name of a jar."""
    jars = sorted(path.stem for path in (home / "libs").glob("kafka-clients-[0-9]*.jar"))
    return jars[0].removeprefix("kafka-clients-") if jars else "unknown"


def _commit() -> str:
    """The commit of the code, with a plus sign if files differ from it."""
    try:
        return _git("rev-parse", "--short=10", "HEAD") + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    run = subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True)
    return run.stdout.strip()
