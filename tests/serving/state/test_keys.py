"""The file of API keys, the keys in force, and the commands that change them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serving.cli import build
from serving.errors import CliError
from serving.key_file import KeysError, changing_keys, digest, new_key, read_keys, write_keys
from serving.state.keys import GRACE_S, Keys
from streams.errors import Refused

ROOT = Path(__file__).parents[3]


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


def created(scope: str = "read") -> bytes:
    return run("keys", "create", "--scope", scope).strip().splitlines()[-1].encode()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def removed(path: Path) -> None:
    path.unlink()


def writable_by_all(path: Path) -> None:
    path.chmod(0o666)


def writable_by_the_group(path: Path) -> None:
    path.chmod(0o660)


def damaged(path: Path) -> None:
    path.write_text("{")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


UNUSABLE: list[tuple[Callable[[Path], None], str]] = [
    (removed, "No such file"),
    (writable_by_all, "has the mode 0666, so others could make keys: run chmod go-w"),
    (writable_by_the_group, "has the mode 0660, so others could make keys: run chmod go-w"),
    (damaged, "not a file of keys"),
    (a_folder, "Is a directory"),
    (a_pipe, "is not a regular file"),
    (a_dangling_link, "No such file"),
]


@pytest.mark.parametrize(("spoil", "reason"), UNUSABLE)
def test_a_server_does_not_start_with_a_file_that_cannot_be_used(path: Path, spoil: Callable[[Path], None], reason: str) -> None:
    created()
    spoil(path)
    with pytest.raises(KeysError, match=reason) as caught:
        Keys(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("spoil", "reason"), UNUSABLE)
def test_after_a_grace_no_key_is_valid_until_the_file_is_right_again(
    path: Path, tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    key, clock = created(), Clock()
    copy = path.read_bytes()
    keys = Keys(path, clock)
    spoil(path)
    for clock.now in (100.0, 102.0, 100.0 + GRACE_S - 0.1):
        with pytest.raises(KeysError, match=reason):
            keys.reload()
        assert keys.scopes(key) == {"read"}
        assert keys.refused is None
    for clock.now in (100.0 + GRACE_S, 10_000.0):
        with pytest.raises(KeysError, match=reason):
            keys.reload()
        assert keys.scopes(key) is None
        assert reason in (keys.refused or "")
    assert keys.required
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(copy)
    path.chmod(0o600)
    assert keys.reload()
    assert keys.scopes(key) == {"read"}
    assert keys.refused is None
    spoil(path)
    with pytest.raises(KeysError):
        keys.reload()
    assert keys.scopes(key) == {"read"}, "another failure has a grace of its own"


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created()
    owner = path.stat().st_uid
    if owner == 0:
        os.chown(path, 4711, -1)
        expected = "belongs to the user 4711, who could make keys: give it to the user 0 or to root"
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        expected = f"belongs to the user {owner}, who could make keys: give it to the user 4711 or to root"
    with pytest.raises(KeysError, match=expected):
        Keys(path)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444, 0o644, 0o640])
def test_a_file_that_others_can_read_is_accepted(path: Path, mode: int) -> None:
    key = created()
    path.chmod(mode)
    assert Keys(path).scopes(key) == {"read"}


def test_a_secret_that_kubernetes_mounts_and_replaces_is_followed(tmp_path: Path, path: Path) -> None:
    def version(name: str, content: bytes) -> None:
        """Write a version as the kubelet does: a new folder, then `..data` points to it."""
        folder = tmp_path / f"..{name}"
        folder.mkdir()
        (folder / "keys.json").write_bytes(content)
        (folder / "keys.json").chmod(0o440)
        (tmp_path / "..data_tmp").symlink_to(folder.name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    first, clock = created(), Clock()
    version("1", path.read_bytes())
    second = created("admin")
    both = path.read_bytes()
    path.unlink()
    path.symlink_to("..data/keys.json")
    keys = Keys(path, clock)
    assert (keys.scopes(first), keys.scopes(second)) == ({"read"}, None)
    version("2", both)
    assert keys.reload()
    assert (keys.scopes(first), keys.scopes(second)) == ({"read"}, {"admin"})


def test_a_command_writes_through_a_symbolic_link_and_leaves_it(tmp_path: Path, path: Path) -> None:
    real = tmp_path / "real" / "stored.json"
    real.parent.mkdir()
    path.symlink_to("real/stored.json")
    created()
    created()
    assert path.is_symlink()
    assert not real.is_symlink()
    assert len(read_keys(real)) == 2
    assert sorted(one.name for one in real.parent.iterdir()) == ["stored.json", "stored.json.lock"]


def test_a_command_follows_no_link_that_somebody_else_put_beside_the_file(tmp_path: Path, path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.with_name("keys.json.part").symlink_to(victim)
    created()
    assert victim.read_text() == "precious"
    assert path.with_name("keys.json.part").is_symlink()
    path.with_name("keys.json.lock").unlink()
    path.with_name("keys.json.lock").symlink_to(victim)
    with pytest.raises(CliError, match=r"keys.json.lock in its folder cannot be locked"):
        created()
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_whom_could_read_the_file_can_still_read_it_after_a_change(path: Path, mode: int) -> None:
    key = created()
    path.chmod(mode)
    run("keys", "revoke", key.decode().split("_")[1])
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_command_does_not_trust_a_file_that_others_can_write(path: Path) -> None:
    created()
    path.chmod(0o666)
    for arguments in (["create", "--scope", "admin"], ["list"], ["revoke", "x"]):
        with pytest.raises(Refused, match="has the mode 0666"):
            CliRunner().invoke(build(), ["keys", *arguments], catch_exceptions=False)


CHANGES = """
import sys
from pathlib import Path
from serving.key_file import changing_keys, new_key
for number in range(10):
    with changing_keys(Path(sys.argv[1])) as keys:
        keys.append(new_key(sys.argv[2], ["read"], number)[1])
        if number % 5 == 4:
            del keys[next(n for n, key in enumerate(keys) if key.name == sys.argv[2])]
"""


def test_commands_that_run_at_the_same_time_lose_no_change(path: Path) -> None:
    commands = [subprocess.Popen([sys.executable, "-c", CHANGES, str(path), name], cwd=ROOT) for name in "abc"]
    assert [command.wait(60) for command in commands] == [0] * 3
    names = [key.name for key in read_keys(path)]
    assert {name: names.count(name) for name in "abc"} == dict.fromkeys("abc", 8)
    assert sorted(one.name for one in path.parent.iterdir()) == ["keys.json", "keys.json.lock"]


def test_a_command_does_not_wait_for_ever_for_another_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.key_file.LOCK_WITHIN_S", 0.05)
    with changing_keys(path), pytest.raises(CliError, match="another command holds"):
        created()
    assert created()


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
