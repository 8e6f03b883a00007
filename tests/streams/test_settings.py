from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from serving.cli import build, main
from streams.configuration.fields import LONGEST_S
from streams.intake.sources import sources_of
from streams.kafka.connection import aiokafka_config, client_config, faust_credentials
from streams.rules import event_decoder
from streams.settings import Settings, SettingsError, load_settings, sources

SASL = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_username": "ann",
    "sasl_password": "secret-word",
}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OUZEL_"):
            monkeypatch.delenv(name)


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
    ("name", "value", "line"),
    [
        (
            "OUZEL_PARTITIONS",
            "many",
            "partitions: 'many' is not valid. Allowed: whole number of partitions, 1 to 1000. Correct OUZEL_PARTITIONS.",
        ),
        ("OUZEL_PARTITIONS", "0", "partitions: '0' is not valid. Allowed: whole number of partitions, 1 to 1000."),
        ("OUZEL_BROKER", "a:1, kafka", "broker: 'a:1, kafka' is not valid: 'kafka' is not host:port. Allowed: `host:port`"),
        (
            "OUZEL_BROKR",
            "kafka:1",
            "OUZEL_BROKR: there is no such setting. Did you mean OUZEL_BROKER? Correct or unset",
        ),
        ("OUZEL_QQQ", "1", "OUZEL_QQQ: there is no such setting. `ouzel config` lists all settings."),
        ("OUZEL_FIELD_MAPPING", "{", "field_mapping: '{' is not valid: not JSON. Allowed: JSON object of texts."),
        ("OUZEL_FIELD_MAPPING", '{"item_id": 1}', "field_mapping.item_id: 1 is not valid. Allowed: JSON object of texts."),
        ("OUZEL_SECURITY_PROTOCOL", "SASL_SSL", "SASL_SSL requires sasl_mechanism, sasl_username, sasl_password. Set what"),
        ("OUZEL_CONFIG", "/no/such/file.toml", "OUZEL_CONFIG: there is no file /no/such/file.toml. Correct or unset"),
        ("OUZEL_SESSION_GAP_S", "inf", "session_gap_s: 'inf' is not valid: not finite. Allowed: number of seconds, above 0, "),
        ("OUZEL_MODEL", "gpt", "model: 'gpt' is not valid: unknown name. Allowed: `popularity`, "),
        ("OUZEL_ENCODER", "bert", "encoder: 'bert' is not valid: unknown name. Allowed: `gru` or `recency`."),
        ("OUZEL_DELIVERY", "twice", "delivery: 'twice' is not valid. Allowed: `leased` or `exactly_once`."),
        ("OUZEL_SERVE_LIVE", "perhaps", "serve_live: 'perhaps' is not valid. Allowed: `true` or `false`."),
        ("OUZEL_MAX_ITEMS", "10", "max_items: '10' is not valid. Allowed: whole number of items, at least 256."),
        ("OUZEL_SSL_CAFILE", "/no/such/ca.pem", "ssl_cafile: '/no/such/ca.pem' is not valid: no such file. Allowed: path"),
        ("OUZEL_SESSION_TTL_S", "1e308", "above 0, at most 1,000,000,000. Correct OUZEL_SESSION_TTL_S."),
        ("OUZEL_SEED", "18446744073709551616", "Allowed: whole number, 0 to 4,294,967,295. Correct OUZEL_SEED."),
        ("OUZEL_DATA_DIR", "", "data_dir: '' is not valid: it is empty. Allowed: path of a folder. Correct OUZEL_DATA_DIR."),
        ("OUZEL_SASL_USERNAME", "ann", "PLAINTEXT does not use sasl_username. Remove what is not used, or set security_protocol"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(
    name: str, value: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert line in str(caught.value)
    monkeypatch.setattr("sys.argv", ["ouzel", "config"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_line_of_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ouzel.toml"
    path.write_text("partitons = 8\n")
    monkeypatch.setenv("OUZEL_CONFIG", str(path))
    with pytest.raises(SettingsError, match=r"^partitons: .* Did you mean partitions\? Correct .*ouzel\.toml\.$"):
        load_settings()


def test_every_wrong_value_of_the_file_is_named_and_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ouzel.toml"
    path.write_text("partitions = 0\nseed = [1]\n")
    monkeypatch.setenv("OUZEL_CONFIG", str(path))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value) == (
        f"partitions: 0 is not valid. Allowed: whole number of partitions, 1 to 1000. Correct it in {path}. "
        f"seed: [1] is not valid. Allowed: whole number, 0 to 4,294,967,295. Correct it in {path}."
    )


@pytest.mark.parametrize("content", [b"partitions = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml_is_refused(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ouzel.toml"
    path.write_bytes(content)
    monkeypatch.setenv("OUZEL_CONFIG", str(path))
    with pytest.raises(SettingsError, match=r"ouzel\.toml is not TOML"):
        load_settings()


def test_what_an_orchestrator_adds_is_no_typing_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_PORT", "tcp://10.0.0.7:9464")
    monkeypatch.setenv("OUZEL_SERVICE_HOST", "10.0.0.7")
    monkeypatch.setenv("OUZEL_METRICS_SERVICE_PORT_HTTP", "9464")
    monkeypatch.setenv("OUZEL_PORT_9464_TCP_ADDR", "10.0.0.7")
    monkeypatch.setenv("OUZEL_SASL_PASSWORD", "")
    optional = ("sasl_mechanism", "sasl_username", "ssl_cafile", "ssl_keyfile", "instance_id", "decoder", "serve_keys")
    for name in optional:
        monkeypatch.setenv(f"OUZEL_{name.upper()}", "")
    settings = load_settings()
    assert settings.sasl_password is None
    assert [getattr(settings, name) for name in optional] == [None] * len(optional)


def test_a_wrong_secret_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ouzel.toml"
    path.write_text("sasl_password = 90125\n")
    monkeypatch.setenv("OUZEL_CONFIG", str(path))
    with pytest.raises(SettingsError, match="sasl_password: ") as caught:
        load_settings()
    assert "90125" not in str(caught.value)


def test_a_tls_file_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(SettingsError, match=r"ssl_cafile: .*ca\.pem contains no PEM certificates"):
        client_config(Settings(security_protocol="SSL", ssl_cafile=path))
    with pytest.raises(SettingsError, match="ssl_certfile"):
        client_config(Settings(security_protocol="SSL", ssl_certfile=path))


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SASL.items():
        monkeypatch.setenv(f"OUZEL_{name.upper()}", value)
    for arguments in (["config"], ["config", "--json"]):
        printed = CliRunner().invoke(build(), arguments).output
        assert "secret-word" not in printed
        assert "******" in printed
    for columns in ("80", "160"):
        printed = CliRunner().invoke(build(), ["config"], env={"COLUMNS": columns}).output
        assert "secret-word" not in printed
        assert "******" in printed
    shown = json.loads(CliRunner().invoke(build(), ["config", "--json"]).output)
    assert shown["sasl_password"]["source"] == "environment"
    assert "secret-word" not in repr(load_settings())


@pytest.mark.parametrize("columns", [80, 160])
def test_every_meaning_stands_beside_its_value(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUZEL_BROKER", "[fe80::1]:9092")  # not markup
    lines = CliRunner().invoke(build(), ["config"], env={"COLUMNS": str(columns)}).output.splitlines()
    assert max(map(len, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    for name in Settings.model_fields:
        assert any(line.startswith(f"{name} ") for line in lines), name
    assert "broker [fe80::1]:9092 environment" in text.replace("(", "").replace(")", "")
    assert "Seed of the model's random numbers." in text
    assert any(line.split() == ["Kafka", "and", "topics"] for line in lines)


def test_security_reaches_every_client() -> None:
    settings = Settings(**SASL)  # type: ignore[arg-type]
    for config in (client_config(settings), aiokafka_config(settings)):
        protocol: dict[str, Any] = {name: config[name] for name in ("security_protocol", "sasl_mechanism")}
        assert protocol == {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "SCRAM-SHA-512"}
        assert (config["sasl_plain_username"], config["sasl_plain_password"]) == ("ann", "secret-word")
    credentials = faust_credentials(settings)
    assert (credentials.mechanism.value, credentials.protocol.value) == ("SCRAM-SHA-512", "SASL_PLAINTEXT")
    assert faust_credentials(Settings()) is None
    tls = Settings(security_protocol="SSL")
    assert client_config(tls)["ssl_context"] is not None
    assert faust_credentials(tls).protocol.value == "SSL"


def test_every_number_of_seconds_can_be_written_in_milliseconds_and_as_a_time_from_now() -> None:
    for name, field in Settings.model_fields.items():
        if name.endswith("_s"):
            most = [bound.le for bound in field.metadata if hasattr(bound, "le")]
            assert most, f"{name} has no upper bound"
            assert most[0] <= LONGEST_S


@pytest.mark.parametrize("form", ["%Y%Y", "%d/%m/%Y %H:%M %H", "%Q", "%", "%G"])
def test_a_form_of_times_that_python_cannot_read_is_refused_at_the_start(form: str) -> None:
    with pytest.raises(SettingsError, match=r"^time_format: Python's strptime reads no times of the form [^\n]*$"):
        event_decoder(Settings(time_format=form))
    with pytest.raises(SettingsError, match=r"^OUZEL_INTAKE: topic clicks: time_format: "):
        sources_of(Settings(intake=[{"topic": "clicks", "time_format": form}]))


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%Y-%m-%dT%H:%M:%S.%f%z", "%d %b %Y %I:%M %p", "%Y%m%d", "%c"])
def test_a_form_of_times_that_python_can_read_is_taken(form: str) -> None:
    assert event_decoder(Settings(time_format=form)).mapping == {}
