"""Compares the pinned packages with a database of known vulnerabilities. `make audit` runs it.

It passes only if the database has answered for every package. Where no database can be reached, it
says so and is skipped. pip-audit itself does not distinguish these: an index without vulnerability
data looks like packages without vulnerabilities. So it is first asked about a release with known
ones.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from deploy.supply_chain.lock import ABOUT, FOLDER
from streams.child_command import module_command
from streams.printable import printable_lines

VULNERABLE = "jinja2==2.4.1"
WITHIN_S = 120.0
UNREACHABLE = re.compile(
    r"^requests\.exceptions\.(?:ConnectionError|ProxyError|ConnectTimeout|ReadTimeout)\b"
    r"|Could not connect to .* vulnerability feed",
    re.MULTILINE,
)


class Answer(NamedTuple):
    """What pip-audit answered. ``status`` is ``None`` if it did not end in time."""

    status: int | None
    output: str
    errors: str


class Verdict(NamedTuple):
    """What to say, and the exit status to end with."""

    status: int
    text: str


Ask = Callable[[Sequence[Path]], Answer]
"""Asks pip-audit about the packages in files."""


def ask(files: Sequence[Path]) -> Answer:
    """Run pip-audit, which reads the files without installing anything."""
    options = ["--disable-pip", "--no-deps", "--format", "json", "--progress-spinner", "off"]
    command = module_command("pip_audit", *options)
    for file in files:
        command += ["--requirement", str(file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        return Answer(None, "", "")
    return Answer(done.returncode, done.stdout, done.stderr)


def packages(answer: Answer) -> list[dict[str, object]] | None:
    """What it found of each package; ``None`` if it ended without a result."""
    try:
        found: list[dict[str, object]] = json.loads(answer.output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    return found


def unreachable(answer: Answer) -> str:
    """Why no database answered about the release with known vulnerabilities; empty if one did."""
    if answer.status is None:
        return f"no answer within {WITHIN_S:.0f} s"
    found = packages(answer)
    if found is None:
        reason = UNREACHABLE.search(answer.errors)
        return "no connection" if reason else ""
    return "" if any(package.get("vulns") for package in found) else f"the index knows no vulnerability of {VULNERABLE}"


def judge(files: Sequence[Path], asked: Ask) -> Verdict:
    """Audit the packages in files."""
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "vulnerable.txt"
        known.write_text(VULNERABLE + "\n")
        reason = unreachable(asked([known]))
    if reason:
        return Verdict(0, f"make audit: skipped, as no database of vulnerabilities can be reached: {reason}")
    answer = asked(files)
    found = packages(answer)
    if answer.status is None or found is None:
        return Verdict(1, f"make audit: pip-audit failed:\n{answer.errors or 'no answer in time'}")
    wrong = [
        f"{package['name']} {package.get('version', '')}: {package.get('skip_reason') or package['vulns']}"
        for package in found
        if package.get("skip_reason") or package.get("vulns")
    ]
    if wrong or answer.status:
        return Verdict(1, "\n".join([*wrong, f"make audit: {len(wrong)} of {len(found)} packages are vulnerable or unknown"]))
    return Verdict(0, f"make audit: {len(found)} packages have no known vulnerability")


def main() -> int:
    verdict = judge([FOLDER / f"{name}.txt" for name in ABOUT], ask)
    print(printable_lines(verdict.text))
    return verdict.status


if __name__ == "__main__":
    sys.exit(main())
