"""The audit passes only if a database of vulnerabilities has answered for every package."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.deployed import with_tools

from deploy.supply_chain.audit import Answer, judge

ROOT = Path(__file__).parents[3]
FLAW = {"id": "CVE-2014-1402", "fix_versions": ["2.7.2"]}
KNOWN = {"name": "jinja2", "version": "2.4.1", "vulns": [FLAW]}
SOUND = {"name": "rich", "version": "15.0.0", "vulns": []}
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited: rich (15.0.0)"}
FILES = [Path("runtime.txt"), Path("dev.txt")]


def found(*packages: object) -> Answer:
    """The answer of pip-audit about these packages."""
    return Answer(1 if any("CVE" in str(package) for package in packages) else 0, json.dumps({"dependencies": packages}), "")


def crashed(message: str) -> Answer:
    return Answer(1, "", f"Traceback (most recent call last):\n  File ...\n{message}\n")


REFUSED = crashed("requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x', port=443): Max retries exceeded")
BROKEN = crashed("ImportError: cannot import name 'Requirement' from 'packaging'")
LATE = Answer(None, "", "")


@pytest.mark.parametrize(
    ("first", "second", "status", "text"),
    [
        (found(KNOWN), found(SOUND), 0, "1 packages have no known vulnerability"),
        (found(KNOWN), found(SOUND, KNOWN), 1, "CVE-2014-1402"),
        (found(KNOWN), found(SOUND, UNKNOWN), 1, "could not be audited"),
        (found(KNOWN), BROKEN, 1, "ImportError"),
        (found(KNOWN), REFUSED, 1, "ConnectionError"),
        (found(KNOWN), LATE, 1, "no answer in time"),
        (found({**KNOWN, "vulns": []}), None, 0, "skipped, as no database"),
        (found({**UNKNOWN, "name": "jinja2"}), None, 0, "skipped, as no database"),
        (REFUSED, None, 0, "skipped, as no database"),
        (LATE, None, 0, "no answer within 120 s"),
        (BROKEN, BROKEN, 1, "ImportError"),
        (crashed("requests.exceptions.SSLError: certificate verify failed"), BROKEN, 1, "failed"),
    ],
    ids=[
        "sound", "vulnerable", "one unknown", "crashed", "connection lost", "too slow", "no data", "an index without data",
        "no connection", "a database that hangs", "crashed at once", "a certificate that is not trusted",
    ],
)  # fmt: skip
def test_it_fails_for_all_but_a_database_that_cannot_be_reached(
    first: Answer, second: Answer | None, status: int, text: str
) -> None:
    asked: list[Sequence[Path]] = []

    def ask(files: Sequence[Path]) -> Answer:
        asked.append(files)
        answer = first if len(asked) == 1 else second
        assert answer is not None, "without a database, the packages are not asked about"
        return answer

    verdict = judge(FILES, ask)
    assert verdict.status == status
    assert text in verdict.text
    assert asked[1:] in ([FILES], [])


def test_ci_runs_it_and_the_check_of_licences() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^make audit\b", script, re.MULTILINE)
    assert re.search(r"^make licences\b", script, re.MULTILINE)


def test_it_says_by_name_that_it_is_skipped_without_a_network() -> None:
    environment = os.environ | {"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1", "NO_PROXY": ""}
    command = [with_tools(), "-m", "deploy.supply_chain.audit"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "make audit: skipped, as no database of vulnerabilities can be reached: no connection\n"
