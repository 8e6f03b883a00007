"""Secrets that stand in the documentation or in the files of `deploy` are refused everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from streams.configuration.fields import is_secret, variable
from streams.configuration.security import EXAMPLE_SECRETS, HASH_KEY_BYTES
from streams.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).parents[2]
SECRETS = [name for name, field in Settings.model_fields.items() if is_secret(field)]
WITH = {
    "sasl_password": {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "ann"},
    "oauth_client_secret": {
        "security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "oauth_client_id": "ann",
        "oauth_token_url": "https://login.example/token",
    },
}  # fmt: skip
"""What a secret requires besides it."""
_ASSIGNED = re.compile(
    rf"(?i)\b(?:{'|'.join(variable(name) + '|' + name for name in SECRETS)})[\"']?\s*[=:]\s*[\"']?(?P<value>[^\s\"',;`]+)"
)
_DEFAULT = re.compile(r"\$\{\w+:?[-=](.+)\}")


def examples() -> Iterator[tuple[str, str]]:
    """Yield each value of a secret setting in a document or a file of `deploy`, and its place."""
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*"), *(ROOT / "deploy").rglob("*")]
    for path in files:
        if path.is_file() and path.suffix not in (".pyc", ".png", ".svg", ".json"):
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
                for match in _ASSIGNED.finditer(line):
                    value = match["value"]
                    if value.startswith("$"):
                        default = _DEFAULT.fullmatch(value)
                        if default is None:
                            continue
                        value = default[1]
                    yield f"{path.relative_to(ROOT)}:{number}", value


def test_every_secret_in_the_documents_and_in_deploy_is_refused() -> None:
    found = dict(examples())
    assert {"change-me", "change-me-too", "..."} <= {*found.values()}
    assert {place: value for place, value in found.items() if value.lower() not in EXAMPLE_SECRETS} == {}, (
        "add each of them to EXAMPLE_SECRETS"
    )


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", [*sorted(EXAMPLE_SECRETS), "Change-Me", " change-me-too "])
def test_every_secret_setting_refuses_the_examples(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other, text in (WITH.get(name, {}) | {name: value}).items():
        monkeypatch.setenv(variable(other), text)
    with pytest.raises(SettingsError, match=f"{name}: the value, a secret, is not valid: it is an example") as caught:
        load_settings()
    assert (caught.value.exit_code, "\n" in str(caught.value), value.strip() in str(caught.value)) == (2, False, False)
    monkeypatch.setenv(variable(name), "a-secret-of-our-own")
    assert getattr(load_settings(), name).get_secret_value() == "a-secret-of-our-own"


@pytest.mark.parametrize("key", ["x", "x" * (HASH_KEY_BYTES - 1)])
def test_a_short_hash_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match=f"it has {len(key)} bytes, at least 16"):
        Settings(hash_key=key)


def test_a_long_hash_key_is_accepted_and_an_empty_one_is_none() -> None:
    assert Settings(hash_key="é" * 8).hash_key is not None
    assert Settings(hash_key="").hash_key is None
