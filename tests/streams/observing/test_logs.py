from __future__ import annotations

import json
import logging
import subprocess
import sys
from functools import cache

import pytest

from streams.observing.logs import MAX_MESSAGES, Seldom

SCRIPT = """
import logging, structlog, warnings
from streams.observing.logs import set_up
from streams.settings import Settings
settings = Settings(log_format={form!r}, log_level="info", security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN",
                    sasl_username="ann", sasl_password="hush-hush", hash_key={key!r})
set_up(settings)
log = structlog.get_logger("streams.worker")
log.info("ready", settings=settings, items=3)
log.debug("not_shown")
log.info("counted %d", 7)
logging.getLogger("faust.app").info("chatter")
logging.getLogger("streams.engine.recovery").info("a table" + chr(10) + "of Faust's, under our name")
logging.getLogger("aiokafka.conn").error("lost %s", "broker-1")
log.info("user_seen", user_id="zoe", session_id=7, partition=3)
warnings.warn("old")
def connect(password):
    1 / 0
try:
    connect(settings.sasl_password.get_secret_value())
except ZeroDivisionError:
    log.exception("failed")
"""


@cache
def lines(form: str, key: str | None = None) -> list[str]:
    script = SCRIPT.format(form=form, key=key)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_every_logger_writes_json_lines_if_stderr_is_not_a_terminal() -> None:
    ready, counted, lost, seen, warned, failed = (json.loads(line) for line in lines("auto"))
    assert (ready["event"], ready["level"], ready["logger"], ready["items"]) == ("ready", "info", "streams.worker", 3)
    assert counted["event"] == "counted 7"
    assert (lost["event"], lost["level"], lost["logger"]) == ("lost broker-1", "warning", "aiokafka.conn"), (
        "an error of a library is a warning"
    )
    assert (seen["event"], seen["partition"]) == ("user_seen", 3)
    assert (warned["level"], warned["logger"], "UserWarning: old" in warned["event"]) == ("warning", "py.warnings", True)
    assert failed["level"] == "error"
    assert "ZeroDivisionError" in failed["exception"]
    assert all(record["timestamp"].endswith("Z") for record in (ready, counted, lost, failed))


def test_readable_lines_with_the_setting_text() -> None:
    text = "\n".join(lines("text"))
    for part in ("ready", "lost broker-1", "ZeroDivisionError"):
        assert part in text
    assert "chatter" not in text


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_logged(form: str) -> None:
    text = "\n".join(lines(form))
    assert "**********" in text
    assert "hush-hush" not in text


def test_users_are_shown_as_keyed_hashes_and_as_withheld_without_a_key() -> None:
    def users(key: str | None) -> tuple[str, str]:
        (seen,) = (line for line in map(json.loads, lines("json", key)) if line["event"] == "user_seen")
        return seen["user_id"], seen["session_id"]

    first, second, long = users("a key of 16 bytes"), users("another key of 16 bytes"), users("k" * 200)
    assert users("a key of 16 bytes") == first
    assert len({*first, *second, *long}) == 6
    assert {len(name) for name in (*first, *second, *long)} == {16}
    assert users(None) == ("withheld", "withheld")
    assert not any("zoe" in line for key in (None, "a key of 16 bytes") for form in ("json", "text") for line in lines(form, key))


def test_repeated_messages_of_a_library_are_logged_seldom() -> None:
    now = [0.0]
    seldom = Seldom(lambda: now[0])

    def logged(name: str, message: str, *arguments: object, exc_info: object = None) -> bool:
        return seldom.filter(logging.LogRecord(name, logging.ERROR, "", 0, message, arguments, exc_info))  # type: ignore[arg-type]

    assert logged("aiokafka.conn", "Unable connect to node %s", 1)
    assert not logged("aiokafka.conn", "Unable connect to node %s", 2)
    assert logged("aiokafka.conn", "something else")
    assert logged("serving.state.writer", "kafka_away")
    assert logged("serving.state.writer", "kafka_away"), "Ouzel's own always pass"
    assert logged("aiokafka.conn", "Unable connect to node %s", 1, exc_info=(ValueError, ValueError(), None))
    now[0] = 10.0
    assert logged("aiokafka.conn", "Unable connect to node %s", 1)
    for number in range(3000):
        assert logged("kafka", f"message {number}")
    assert len(seldom) <= MAX_MESSAGES + 1
