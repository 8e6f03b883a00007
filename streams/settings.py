"""What can be set: `OUZEL_*` environment variables over an optional TOML file (`OUZEL_CONFIG`) over defaults."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import (
    SettingsError as SourceError,
)

from models.encoders.registry import ENCODERS
from models.registry import METHODS
from streams.errors import FAILED, Refused

CONFIG_VARIABLE = "OUZEL_CONFIG"
PREFIX = "OUZEL_"
TEST_VARIABLE = "OUZEL_TEST_DATA"
# Kubernetes and Docker put the address of a service named "ouzel..." into every container beside it.
SERVICE_VARIABLE = re.compile(r"\w+_SERVICE_(HOST|PORT(_\w+)?)|\w+_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?")
SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


SASL = ("sasl_mechanism", "sasl_username", "sasl_password")
TLS = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")


class SettingsError(Refused):
    """A setting is wrong; the message is one line that names it."""

    # At work it is a certificate that is being replaced: it may be good again after a restart.
    exit_code_at_work = FAILED


class Settings(BaseSettings):
    """Every setting, flat. Times are in seconds unless the name says otherwise, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, allow_inf_nan=False)

    broker: str = Field("127.0.0.1:9092", description="Kafka's bootstrap servers, host:port, comma separated.")
    topic_prefix: str = Field("ouzel.", pattern=r"^[A-Za-z0-9._-]{0,100}$", description="What every topic name begins with.")
    app_id: str = Field("ouzel", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="Consumer group of the workers.")
    partitions: int = Field(4, ge=1, le=1000, description="Partitions of the events topic, fixed at creation.")
    replication: int = Field(1, ge=1, le=9, description="Replication factor of the topics that are created.")
    data_dir: Path = Field(Path(".ouzel"), description="Where a worker keeps its RocksDB; one per worker.")

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_cafile: Path | None = None
    ssl_certfile: Path | None = None
    ssl_keyfile: Path | None = None

    session_timeout_s: float = Field(10.0, ge=1, le=300, description="How long a killed worker goes unnoticed.")
    stall_timeout_s: float = Field(60.0, ge=5, description="A worker that does nothing for so long though there is work ends.")
    instance_id: str | None = Field(None, description="Static membership of the consumer group.")
    max_poll_records: int = Field(1024, ge=1, le=20_000, description="Events in a unit of work, at most.")
    fetch_max_wait_ms: int = Field(25, ge=1, le=5000, description="How long the broker may hold an empty fetch.")
    max_record_bytes: int = Field(1_000_000, ge=100, le=50_000_000, description="A longer event is a dead letter.")

    delivery: Literal["leased", "exactly_once"] = Field(
        "leased",
        description="leased: after a crash outputs may come twice; exactly_once: in transactions, for read_committed readers.",
    )
    transaction_timeout_s: float = Field(10.0, ge=1, le=900, description="After which a dead worker's transaction is aborted.")
    idempotent: bool = Field(True, description="Idempotent producer; only the embedded broker needs false.")

    hash_key: SecretStr | None = Field(
        None, description="Secret of the hashes that stay of deleted users; the same for all workers."
    )
    session_gap_s: float = Field(1800.0, gt=0, description="Event time without an event that ends a session.")
    session_ttl_s: float = Field(7 * 86400.0, gt=0, description="Kafka time after which a session is removed.")
    max_ahead_s: float = Field(300.0, ge=0, description="How far an event's time may be ahead of its Kafka time.")
    published: int = Field(50, ge=1, le=200, description="Items in a recommendation.")
    field_mapping: dict[str, str] = Field({}, description="Our field -> path in your events, e.g. item_id -> product.sku.")
    decoder: str | None = Field(None, pattern=r"^[\w.]+:\w+$", description="module:function that turns bytes into a dict.")

    model: str = Field("hybrid", description="hybrid, a baseline alone by its name, or null, which ranks nothing.")
    encoder: str = Field("gru", description="Of the hybrid: gru, or recency, which is faster.")
    profile: Literal["balanced", "fast"] = Field("balanced", description="Of the hybrid: accuracy first, or speed.")
    max_items: int = Field(250_000, ge=256, description="Items the model knows at most; then those longest unseen go.")
    snapshot_every_s: float = Field(60.0, gt=0, description="How often the learner writes the model to Kafka, while it learns.")
    exclude: Literal["nothing", "purchased", "seen"] = Field(
        "nothing", description="Items of the session that are not recommended again."
    )
    seed: int = Field(0, ge=0)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(9464, ge=0, le=65535, description="Port of the Prometheus endpoint; 0 for none.")

    serve_host: str = Field("127.0.0.1", description="Address of `ouzel serve`; another than loopback needs keys.")
    serve_port: int = Field(8080, ge=1, le=65535, description="Port of `ouzel serve`.")
    serve_keys: Path | None = Field(None, description="File with the hashes of API keys: see `ouzel keys create`.")
    serve_rankings: int = Field(100_000, ge=1, description="Latest rankings kept, about 6 kB each; then the oldest go.")
    serve_cors_origins: list[str] = Field([], description="Origins whose pages may call the API from a browser.")
    serve_max_body_bytes: int = Field(1_000_000, ge=1000, le=50_000_000, description="A longer request body is refused.")
    serve_max_head_bytes: int = Field(16_384, ge=1024, le=1_000_000, description="A longer request head ends its connection.")
    serve_max_connections: int = Field(1000, ge=1, description="Connections at a time; more are answered with 503.")
    serve_max_streams: int = Field(500, ge=1, description="Open streams of server-sent events at a time.")
    serve_client_timeout_s: float = Field(10.0, gt=0, description="In which a client sends a request, and takes its answer.")
    serve_heartbeat_s: float = Field(15.0, gt=0, description="A stream's longest silence.")
    serve_stream_s: float = Field(3600.0, gt=0, description="After which a stream ends; its client comes again.")
    serve_worker_metrics: list[str] | None = Field(
        None, description="The workers' metrics, host:port, for the page; unset, the one at metrics_port on this machine."
    )
    serve_live: bool = Field(True, description="Whether `ouzel serve` follows the events, to tell their rate and freshness.")

    log_format: Literal["auto", "json", "text"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("model", "encoder")
    @classmethod
    def _is_known(cls, value: str, info: ValidationInfo) -> str:
        known = [*METHODS, "null"] if info.field_name == "model" else list(ENCODERS)
        if value not in known:
            raise ValueError(f"found {value[:40]!r}, wants one of {', '.join(known)}")
        return value

    @field_validator("broker")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for address in value.split(","):
            host, separator, port = address.strip().rpartition(":")
            if not (host and separator and port.isdigit() and 0 < int(port) < 65536):
                raise ValueError(f"{address.strip()!r} is not host:port")
        return value

    @field_validator("sasl_mechanism", *SASL[1:], *TLS, "instance_id", "decoder", "serve_keys", mode="before")
    @classmethod
    def _absent(cls, value: Any) -> Any:
        """An empty variable, as a compose file makes of one that is not set, is no value."""
        return None if value == "" else value

    @field_validator(*TLS)
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"no file {value}")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        """Security that is half set is refused: nobody should believe in a password that is not used."""
        protocol = self.security_protocol
        missing = [name for name in SASL if not getattr(self, name)]
        if protocol.startswith("SASL") and missing:
            raise ValueError(f"security_protocol: {protocol} needs {', '.join(missing)}")
        unused = [] if protocol.startswith("SASL") else [name for name in SASL if getattr(self, name)]
        unused += [] if protocol.endswith("SSL") else [name for name in TLS if getattr(self, name)]
        if unused:
            raise ValueError(f"security_protocol: {protocol} has no use for {', '.join(unused)}")
        if self.delivery == "exactly_once" and not self.idempotent:
            raise ValueError("delivery: exactly_once needs a broker that knows idempotence")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile: needs ssl_certfile")
        return self

    @property
    def transaction_timeout_ms(self) -> int:
        """For Kafka, which counts in ms."""
        return int(self.transaction_timeout_s * 1000)

    def topic(self, name: str) -> str:
        """The full name of one of Ouzel's topics."""
        return f"{self.topic_prefix}{name}"

    @property
    def domain(self) -> str:
        """What topic names begin with, less the last dot: it names this Ouzel among others in one Prometheus."""
        return self.topic_prefix.rstrip(".")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = os.environ.get(CONFIG_VARIABLE)
        if not path:
            return init_settings, env_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(path))


def load_settings() -> Settings:
    """Read the environment and the file. Raises `SettingsError` with one clear line."""
    path = os.environ.get(CONFIG_VARIABLE)
    try:
        if path and not Path(path).is_file():
            raise SettingsError(f"{CONFIG_VARIABLE}: no file {path}")
        _refuse_unknown_variables()
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_line(dict(problem)) for problem in error.errors())) from None
    except SourceError as error:
        found = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(f"{found[1] if found else error}: not JSON") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{CONFIG_VARIABLE}: {path} is not TOML: {error}") from None
    except OSError as error:
        raise SettingsError(f"{CONFIG_VARIABLE}: {path}: {error.strerror}") from None


def sources(settings: Settings) -> dict[str, str]:
    """Where each value came from: ``environment``, ``file`` or ``default``."""
    path = os.environ.get(CONFIG_VARIABLE)
    from_file = tomllib.loads(Path(path).read_text()) if path else {}
    in_environment = {name.upper() for name in os.environ}
    return {
        name: "environment" if PREFIX + name.upper() in in_environment else "file" if name in from_file else "default"
        for name in type(settings).model_fields
    }


def _refuse_unknown_variables() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE, TEST_VARIABLE}
    unknown = sorted(
        name
        for name, value in os.environ.items()
        if name.startswith(PREFIX)
        and name not in known
        and not SERVICE_VARIABLE.fullmatch(name)
        and not SERVICE_ADDRESS.match(value)
    )
    if unknown:
        raise SettingsError(f"{unknown[0]}: no such setting")


def _line(problem: dict[str, Any]) -> str:
    """One problem; the value is shown, unless it is a secret or something long."""
    message = str(problem["msg"]).removeprefix("Value error, ")
    if not problem["loc"]:
        return message
    name, value = ".".join(str(part) for part in problem["loc"]), problem["input"]
    if problem["type"] == "extra_forbidden":
        return f"{name}: no such setting in {os.environ.get(CONFIG_VARIABLE)}"
    field = Settings.model_fields.get(str(problem["loc"][0]))
    told = isinstance(value, bool | int | float | str) and "Secret" not in str(field and field.annotation)
    return f"{name}: {message}" + (f" (found {str(value)[:80]!r})" if told and problem["type"] != "value_error" else "")
