"""The reference of settings is the one of the code, and says correctly who reads what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import Field
from support.readers import commands, settings_read

from serving.settings_reference import by_subject, reference, table
from streams.configuration.fields import Reader, Subject, about, allowed
from streams.settings import Settings

ROOT = Path(__file__).parents[2]
PROCESSES = {"worker": Reader.WORKER, "learner": Reader.LEARNER, "serve": Reader.SERVE, "intake": Reader.INTAKE}
WITHOUT_EFFECT = {
    "replication": {Reader.WORKER},  # Faust gets it, but may not create topics
    "snapshot_every_s": {Reader.SERVE, Reader.INTAKE},  # part of a topic's specification; these need the name
}
"""Readers whose behaviour does not depend on the setting."""


def test_the_committed_reference_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == reference(), "run: python -m serving.settings_reference"


def test_the_command_writes_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "serving.settings_reference", str(tmp_path / "new.md")], check=True, cwd=ROOT)
    assert (tmp_path / "new.md").read_text() == reference()


def test_every_setting_is_declared_with_all_that_the_reference_says() -> None:
    for name, field in Settings.model_fields.items():
        declared = about(field)
        assert str(field.description).endswith("."), name
        assert declared.read_by, name
        assert allowed(name, field), name
    assert list(by_subject()) == list(Subject)
    assert all(by_subject().values())
    assert sum(map(len, by_subject().values())) == len(Settings.model_fields)


def test_a_setting_declared_otherwise_is_refused() -> None:
    with pytest.raises(LookupError, match="setting"):
        table({"name": Field("value", description="A text.")})


def test_every_reader_is_named_and_every_named_reader_reads() -> None:
    readers: dict[str, set[Reader]] = {name: set() for name in Settings.model_fields}
    for command in commands() - {"config"}:  # which shows them all and uses none
        for name in settings_read(command) & set(readers):
            readers[name].add(PROCESSES.get(command, Reader.TOOLS))
    for name, field in Settings.model_fields.items():
        assert set(about(field).read_by) == readers[name] - WITHOUT_EFFECT.get(name, set()), name
