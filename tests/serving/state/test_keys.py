"""The file of API keys, the keys in force, and the commands that change them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.cli import build
from serving.state.keys import Keys, KeysError, digest, new_key, read_keys, write_keys
from streams.errors import Refused


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OUZEL_SERVE_KEYS", str(tmp_path / "keys.json"))
    return tmp_path / "keys.json"


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build(), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_key_is_shown_once_and_only_its_hash_is_kept(path: Path) -> None:
    key = run("keys", "create", "--scope", "read", "--scope", "events", "--name", "shop").strip().splitlines()[-1]
    kept = path.read_text()
    assert key not in kept
    assert key.split("_", 2)[2] not in kept
    assert digest(key.encode()) in kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.split("_")[1] in run("keys", "list")
    assert [one.scopes for one in read_keys(path)] == [["read", "events"]]


def test_the_scopes_of_a_key(path: Path) -> None:
    key = run("keys", "create", "--scope", "read", "--scope", "admin").strip().splitlines()[-1]
    keys = Keys(path)
    prefix, identity, secret = key.split("_", 2)
    assert keys.scopes(key.encode()) == {"read", "admin"}
    for unknown in ("", "_", "__", f"{key}x", f"{prefix}_{identity}_{secret[:-1]}", f"{prefix}_00000000_{secret}"):
        assert keys.scopes(unknown.encode()) is None, unknown
    assert keys.scopes(digest(key.encode()).encode()) is None


def test_a_revoked_key_ends_when_the_file_is_read_again(path: Path) -> None:
    key = run("keys", "create", "--scope", "admin").strip().splitlines()[-1]
    keys = Keys(path)
    assert keys.scopes(key.encode()) == {"admin"}
    assert not keys.reload()
    assert "revoked" in run("keys", "revoke", key.split("_")[1])
    assert keys.reload()
    assert keys.scopes(key.encode()) is None


def test_a_bad_file_leaves_the_keys_in_force(path: Path) -> None:
    key = run("keys", "create", "--scope", "read").strip().splitlines()[-1]
    keys = Keys(path)
    path.write_text("{")
    with pytest.raises(KeysError, match="not a file of keys"):
        keys.reload()
    assert keys.scopes(key.encode()) == {"read"}
    path.unlink()
    with pytest.raises(KeysError, match="No such file"):
        keys.reload()
    with pytest.raises(KeysError):
        Keys(path)


def test_without_a_file_no_key_is_required() -> None:
    keys = Keys(None)
    assert not keys.required
    assert not keys.reload()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["create", "--scope", "root"], "--scope: 'root' is not a scope"),
        (["revoke", "ffffffff"], "there is no key ffffffff"),
    ],
)
def test_the_commands_refuse_in_one_line(path: Path, arguments: list[str], error: str) -> None:
    write_keys(path, [new_key("x", ["read"], 0)[1]])
    before = json.loads(path.read_text())
    with pytest.raises(Refused, match=error):
        CliRunner().invoke(build(), ["keys", *arguments], catch_exceptions=False)
    assert json.loads(path.read_text()) == before


def test_without_the_setting_the_commands_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUZEL_SERVE_KEYS", raising=False)
    with pytest.raises(Refused, match="OUZEL_SERVE_KEYS"):
        CliRunner().invoke(build(), ["keys", "list"], catch_exceptions=False)
