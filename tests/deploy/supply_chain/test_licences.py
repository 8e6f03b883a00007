"""The licences of what Ouzel needs at run time."""

from __future__ import annotations

from email.message import Message

import pytest

from deploy.supply_chain import licences
from deploy.supply_chain.licences import allowed, check, declared, main, needed


def metadata(**fields: str) -> Message:
    """The metadata of a package."""
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return message


def test_every_package_has_a_licence_that_is_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    out = capsys.readouterr()
    assert out.err == ""
    listed = dict(line.split(": ", 1) for line in out.out.splitlines())
    assert listed.keys() == set(needed())
    assert listed["aiokafka"] == "Apache-2.0"
    assert "crc32c" not in listed


@pytest.mark.parametrize(
    "package",
    [
        metadata(License="LGPL-2.1-or-later"),
        metadata(License_Expression="MIT AND GPL-3.0-only"),
        metadata(Classifier="License :: OSI Approved :: GNU Affero General Public License v3"),
        metadata(License_Expression="LicenseRef-NVIDIA-Proprietary"),
        metadata(License=""),
        metadata(),
    ],
)
def test_another_licence_or_none_is_refused(
    package: Message, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(licences, "metadata", lambda name: package)
    (line,) = check(["some"])
    assert line.startswith(f"some: {declared(package)} is not allowed; allowed are 0BSD, ")


@pytest.mark.parametrize(
    ("package", "expression"),
    [
        (metadata(License_Expression="MIT OR Apache-2.0", License="other"), "MIT OR Apache-2.0"),
        (metadata(Classifier="License :: OSI Approved :: Apache Software License", License="a long text"), "Apache-2.0"),
        (metadata(License="BSD-3-Clause\n\nCopyright"), "BSD-3-Clause"),
    ],
)
def test_an_expression_counts_more_than_a_classifier_and_that_more_than_a_text(package: Message, expression: str) -> None:
    assert declared(package) == expression
    assert allowed("some", expression)


def test_a_package_that_is_not_installed_is_not_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(["no-such-package"]) == ["no-such-package: not installed, so its licence is unknown; run make setup"]
