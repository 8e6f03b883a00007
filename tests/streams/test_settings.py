from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from serving.cli import build, main
from streams.kafka import aiokafka_config, client_config, faust_credentials
from streams.settings import Settings, SettingsError, load_settings, sources

SASL = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_username": "ann",
    "sasl_password": "secret-word",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OUZEL_BROKER", "OUZEL_CONFIG", "OUZEL_PARTITIONS"):
        monkeypatch.delenv(name, raising=False)


def test_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ouzel.toml"
    path.write_text('broker = "kafka:9092"\npartitions = 8\n[field_mapping]\nitem_id = "sku"\n')
    monkeypatch.setenv("OUZEL_CONFIG", str(path))
    monkeypatch.setenv("OUZEL_PARTITIONS", "12")
    settings = load_settings()
    assert (settings.broker, settings.partitions, settings.field_mapping) == ("kafka:9092", 12, {"item_id": "sku"})
    came_from = sources(settings)
    assert [came_from[n] for n in ("broker", "partitions", "seed")] == ["file", "environment", "default"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OUZEL_PARTITIONS", "many", "partitions: "),
        ("OUZEL_PARTITIONS", "0", "partitions: "),
        ("OUZEL_BROKER", "kafka", "broker: 'kafka' is not host:port"),
        ("OUZEL_BROKR", "kafka:1", "OUZEL_BROKR: no such setting"),
        ("OUZEL_FIELD_MAPPING", "{", "field_mapping"),
        ("OUZEL_SECURITY_PROTOCOL", "SASL_SSL", "needs sasl_mechanism"),
        ("OUZEL_CONFIG", "/no/such/file.toml", "OUZEL_CONFIG: no file"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert told in str(caught.value)
    monkeypatch.setattr("sys.argv", ["ouzel", "config"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_line_of_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ouzel.toml"
    path.write_text("partitons = 8\n")
    monkeypatch.setenv("OUZEL_CONFIG", str(path))
    with pytest.raises(SettingsError, match="partitons"):
        load_settings()


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SASL.items():
        monkeypatch.setenv(f"OUZEL_{name.upper()}", value)
    for arguments in (["config"], ["config", "--json"]):
        printed = CliRunner().invoke(build(), arguments).output
        assert "secret-word" not in printed
        assert "******" in printed
    shown = json.loads(CliRunner().invoke(build(), ["config", "--json"]).output)
    assert shown["sasl_password"]["source"] == "environment"
    assert "secret-word" not in repr(load_settings())


def test_security_reaches_every_client() -> None:
    settings = Settings(**SASL)  # type: ignore[arg-type]
    for config in (client_config(settings), aiokafka_config(settings)):
        found: dict[str, Any] = {name: config[name] for name in ("security_protocol", "sasl_mechanism")}
        assert found == {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512"}
        assert (config["sasl_plain_username"], config["sasl_plain_password"]) == ("ann", "secret-word")
    credentials = faust_credentials(settings)
    assert (credentials.mechanism.value, credentials.protocol.value) == ("SCRAM-SHA-512", "SASL_PLAINTEXT")
    assert faust_credentials(Settings()) is None
    tls = Settings(security_protocol="SSL")
    assert client_config(tls)["ssl_context"] is not None
    assert faust_credentials(tls).protocol.value == "SSL"
