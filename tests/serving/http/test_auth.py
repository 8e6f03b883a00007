"""Who may call an operation: by key and scope, or from loopback if no keys are in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.http.auth import admit, allows
from serving.http.edge import is_loopback_name
from serving.http.loopback import is_loopback
from serving.http.problems import Problem
from serving.key_file import KeyScope, digest, new_key, write_keys
from serving.state.keys import Keys
from serving.state.telemetry import ServingTelemetry


def status(keys: Keys, header: str, scope: KeyScope | None, telemetry: ServingTelemetry) -> int:
    """Return the status with which a header is answered; 0 if its challenge is wrong."""
    try:
        admit(keys, header.encode(), scope, telemetry)
    except Problem as problem:
        return problem.status if ("www-authenticate" in problem.headers) == (problem.status == 401) else 0
    return 200


def test_whom_a_key_admits(tmp_path: Path) -> None:
    key, stored = new_key("shop", ["read"], 0)
    write_keys(tmp_path / "keys.json", [stored])
    keys, telemetry = Keys(tmp_path / "keys.json"), ServingTelemetry()
    prefix, identity, secret = key.split("_", 2)
    cases: list[tuple[str, KeyScope | None, int]] = [
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
    ]
    for header, scope, expected in cases:
        assert status(keys, header, scope, telemetry) == expected, (header, scope)
        assert allows(keys, header.encode(), scope) == (expected == 200)
    counted = telemetry.registry.get_sample_value
    reasons = {"missing": 1, "scheme": 1, "unknown": 7, "scope": 2}
    for reason, count in reasons.items():
        assert counted("ouzel_serve_auth_refusals_total", {"reason": reason}) == count, reason


def test_a_key_without_the_scope_is_told_which_scope_is_needed_and_which_it_has(tmp_path: Path) -> None:
    key, stored = new_key("shop", ["read", "events"], 0)
    write_keys(tmp_path / "keys.json", [stored])
    with pytest.raises(Problem) as caught:
        admit(Keys(tmp_path / "keys.json"), f"Bearer {key}".encode(), "admin", ServingTelemetry())
    detail = caught.value.details.detail or ""
    assert "scope admin" in detail
    assert detail.endswith("events, read")


def test_without_keys_everybody_may_do_everything() -> None:
    assert status(Keys(None), "", "admin", ServingTelemetry()) == 200
    assert allows(Keys(None), b"", "admin")


def test_what_is_loopback() -> None:
    assert [host for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost") if not is_loopback(host)] == []
    assert [host for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "") if is_loopback(host)] == []


def test_which_host_headers_name_loopback() -> None:
    for host in (b"localhost", b"localhost:8080", b"LOCALHOST", b"127.0.0.1:1", b"127.1.2.3", b"[::1]", b"[::1]:8080"):
        assert is_loopback_name([(b"x", b"y"), (b"host", host)]), host
    for host in (b"example.org", b"127.0.0.1.example.org", b"localhost.example.org:80", b"", b"::1:80:x", b"[::1", b"\xff"):
        assert not is_loopback_name([(b"host", host)]), host
    assert not is_loopback_name([])
