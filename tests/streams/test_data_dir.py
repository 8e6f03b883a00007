"""A data directory that another worker uses, or that takes no writes."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from rocksdict import Options, Rdict
from structlog.testing import capture_logs
from support.small_disk import fill, small_disk

from streams.data_dir import DiskFailed, check_writable, clear, disk_failure, lock
from streams.settings import SettingsError


def assert_names_the_setting(error: BaseException, *parts: str) -> None:
    text = str(error)
    assert text.startswith("OUZEL_DATA_DIR: ")
    assert "\n" not in text
    for part in parts:
        assert part in text


def test_a_folder_is_locked_once_and_free_again_after_the_file_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    with lock(folder), pytest.raises(SettingsError) as caught:
        lock(folder)
    assert_names_the_setting(caught.value, "another worker uses", str(folder))
    lock(folder).close()
    check_writable(folder)
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_a_file_system_without_locks_is_used_with_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with capture_logs() as lines:
        lock(tmp_path).close()
    assert [line["event"] for line in lines] == ["data_dir_not_locked"]


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError) as caught:
        lock(tmp_path / "file" / "data")
    assert_names_the_setting(caught.value, "Not a directory", "set OUZEL_DATA_DIR to another folder")


def test_a_full_or_read_only_disk_is_refused(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        filler = fill(disk)
        with pytest.raises(SettingsError) as full:
            check_writable(disk)
        assert_names_the_setting(full.value, "No space left on device", "Free space")
        filler.unlink()
        check_writable(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(SettingsError) as read_only:
            lock(disk)
        assert_names_the_setting(read_only.value, "Read-only file system", "Make its disk writable")


def write_until_it_fails(database: Rdict) -> None:
    for number in range(4000):
        database[str(number).encode()] = os.urandom(3000)


def test_an_error_of_rocksdb_on_a_full_disk_says_so_and_any_other_error_stays(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        database = Rdict(str(disk / "a.db"), Options(raw_mode=True))
        with pytest.raises(Exception, match="No space") as writing:
            write_until_it_fails(database)
        with pytest.raises(Exception, match="No space") as opening:
            Rdict(str(disk / "b.db"), Options(raw_mode=True))
    for error in (writing.value, opening.value):
        wrapped = RuntimeError("a service crashed")
        wrapped.__cause__ = error
        for shown in (error, wrapped):
            failure = disk_failure(shown, disk)
            assert isinstance(failure, DiskFailed)
            assert failure.exit_code == failure.exit_code_at_work == 2
            assert_names_the_setting(failure, "No space left on device", "nothing is lost")
    for other in (ValueError("No space left on device"), Exception("Invalid argument: a comparator"), KeyError("Corruption: ")):
        assert disk_failure(other, disk) is None


def test_only_what_ouzel_keeps_is_removed_from_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    (folder / "v1" / "tables").mkdir(parents=True)
    for name in ("lock", "worker-id", "replay-e-g-1.json", "redriven-g.txt", "thesis.txt"):
        (folder / name).write_text("")
    (folder / "v2").mkdir()
    assert clear(folder) == ["thesis.txt", "v2"]
    (folder / "thesis.txt").unlink()
    (folder / "v2").rmdir()
    assert clear(folder) == []
    assert not folder.exists()


def test_a_folder_that_is_a_link_is_emptied_and_the_link_stays(tmp_path: Path) -> None:
    folder, link = tmp_path / "disk", tmp_path / "link"
    folder.mkdir()
    (folder / "lock").write_text("")
    (folder / "v1").symlink_to(tmp_path / "elsewhere")
    link.symlink_to(folder)
    assert clear(link) == []
    assert link.is_symlink()
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_cleared_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: object, **_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    (tmp_path / "v1").mkdir()
    monkeypatch.setattr(shutil, "rmtree", busy)
    with pytest.raises(SettingsError) as caught:
        clear(tmp_path)
    assert_names_the_setting(caught.value, "Device or resource busy")


@pytest.mark.parametrize("kind", ["loop", "file", "below a file"])
def test_a_path_that_is_no_folder_is_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "path"
    if kind == "loop":
        path.symlink_to(path)
    else:
        path.write_text("")
    with pytest.raises(SettingsError) as caught:
        lock(path / "data" if kind == "below a file" else path)
    assert_names_the_setting(caught.value, str(path))


def damaged(folder: Path, damage: str) -> None:
    """Damage the files of a database."""
    match damage:
        case "no manifest":
            next(folder.glob("MANIFEST*")).unlink()
        case "no table":
            next(folder.glob("*.sst")).unlink()
        case "a half-written file":
            (folder / "CURRENT").write_bytes(b"MANI")
        case "flipped bits":
            table = next(folder.glob("*.sst"))
            table.write_bytes(bytes(byte ^ (number % 500 == 0) for number, byte in enumerate(table.read_bytes())))


@pytest.mark.parametrize("damage", ["no manifest", "no table", "a half-written file", "flipped bits"])
def test_a_damaged_database_is_one_line_that_says_how_to_go_on(damage: str, tmp_path: Path) -> None:
    database = Rdict(str(tmp_path), Options(raw_mode=True))
    for number in range(1000):
        database[b"%d" % number] = os.urandom(100)
    database.flush()
    database.close()
    damaged(tmp_path, damage)
    with pytest.raises(Exception, match=r"Corruption|No such file") as caught:
        list(Rdict(str(tmp_path), Options(raw_mode=True)).items())
    failure = disk_failure(caught.value, tmp_path)
    assert failure is not None
    assert_names_the_setting(failure, str(tmp_path), "are damaged", "Delete the folder")
