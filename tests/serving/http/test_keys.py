"""API keys: what is kept of them, whom they admit, and the commands."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.cli import build
from serving.http.auth import Keys, KeysError, digest, new_key, read_keys, write_keys
from serving.http.edge import is_loopback_name
from serving.http.loopback import is_loopback
from serving.http.problems import Problem
from serving.state.telemetry import ServingTelemetry
from streams.errors import Refused


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUZEL_SERVE_KEYS", str(tmp_path / "keys.json"))
    return tmp_path / "keys.json"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build(), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def status(keys: Keys, header: str, scope: str | None) -> int:
    try:
        keys.admit(header.encode(), scope)
    except Problem as problem:
        return problem.status if ("www-authenticate" in problem.headers) == (problem.status == 401) else 0
    return 200


def test_a_key_is_shown_once_and_only_its_hash_is_kept(path: Path) -> None:
    key = run("keys", "create", "--scope", "read", "--scope", "events", "--name", "shop").strip().splitlines()[-1]
    kept = path.read_text()
    assert key not in kept
    assert key.split("_", 2)[2] not in kept
    assert digest(key.encode()) in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.split("_")[1] in run("keys", "list")
    assert [one.scopes for one in read_keys(path)] == [["read", "events"]]


def test_whom_a_key_admits(path: Path) -> None:
    key = run("keys", "create", "--scope", "read").strip().splitlines()[-1]
    telemetry = ServingTelemetry()
    keys = Keys(path, telemetry)
    prefix, identity, secret = key.split("_", 2)
    for header, scope, expected in [
        (f"Bearer {key}", "read", 200),
        (f"bearer  {key} ", "read", 200),
        (f"Bearer {key}", "events", 403),
        (f"Bearer {key}", "admin", 403),
        ("", "read", 401),
        (f"Basic {key}", "read", 401),
        ("Bearer ", "read", 401),
        ("Bearer _", "read", 401),
        ("Bearer __", "read", 401),
        (f"Bearer {key}x", "read", 401),
        (f"Bearer {prefix}_{identity}_{secret[:-1]}", "read", 401),
        (f"Bearer {prefix}_00000000_{secret}", "read", 401),
        (f"Bearer {digest(key.encode())}", "read", 401),
        ("", None, 200),
    ]:
        assert status(keys, header, scope) == expected, (header, scope)
        assert keys.allows(header.encode(), scope) == (expected == 200)
    told = telemetry.registry.get_sample_value
    assert told("ouzel_serve_auth_refusals_total", {"reason": "scope"}) == 2
    assert told("ouzel_serve_auth_refusals_total", {"reason": "missing"}) == 1


def test_a_revoked_key_ends_when_the_file_is_read_again(path: Path) -> None:
    key = run("keys", "create", "--scope", "admin").strip().splitlines()[-1]
    keys = Keys(path, ServingTelemetry())
    assert status(keys, f"Bearer {key}", "admin") == 200
    assert not keys.reload()
    assert "revoked" in run("keys", "revoke", key.split("_")[1])
    assert keys.reload()
    assert status(keys, f"Bearer {key}", "admin") == 401


def test_a_file_that_becomes_bad_changes_nothing(path: Path) -> None:
    key = run("keys", "create", "--scope", "read").strip().splitlines()[-1]
    keys = Keys(path, ServingTelemetry())
    path.write_text("{")
    with pytest.raises(KeysError, match="no file of keys"):
        keys.reload()
    assert status(keys, f"Bearer {key}", "read") == 200
    path.unlink()
    with pytest.raises(KeysError, match="No such file"):
        keys.reload()
    with pytest.raises(KeysError):
        Keys(path, ServingTelemetry())


def test_without_a_file_everybody_may_do_everything() -> None:
    assert status(Keys(None, ServingTelemetry()), "", "admin") == 200


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "--scope", "root"], "--scope: 'root' is not a scope"),
        (["revoke", "ffffffff"], "there is no key ffffffff"),
    ],
)
def test_the_commands_refuse_in_one_line(path: Path, arguments: list[str], told: str) -> None:
    write_keys(path, [new_key("x", ["read"], 0)[1]])
    before = json.loads(path.read_text())
    with pytest.raises(Refused, match=told):
        CliRunner().invoke(build(), ["keys", *arguments], catch_exceptions=False)
    assert json.loads(path.read_text()) == before


def test_without_the_setting_the_commands_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUZEL_SERVE_KEYS", raising=False)
    with pytest.raises(Refused, match="OUZEL_SERVE_KEYS"):
        CliRunner().invoke(build(), ["keys", "list"], catch_exceptions=False)


def test_what_is_loopback() -> None:
    assert [host for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost") if not is_loopback(host)] == []
    assert [host for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "") if is_loopback(host)] == []


def test_which_host_headers_name_loopback() -> None:
    for host in (b"localhost", b"localhost:8080", b"LOCALHOST", b"127.0.0.1:1", b"127.1.2.3", b"[::1]", b"[::1]:8080"):
        assert is_loopback_name([(b"x", b"y"), (b"host", host)]), host
    for host in (b"example.org", b"127.0.0.1.example.org", b"localhost.example.org:80", b"", b"::1:80:x", b"[::1", b"\xff"):
        assert not is_loopback_name([(b"host", host)]), host
    assert not is_loopback_name([])
