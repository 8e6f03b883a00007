"""Ouzel's settings, from the environment, a TOML file (`OUZEL_CONFIG`) or defaults, in this order.

`python -m serving.settings_reference` writes docs/settings.md from the declarations.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import ValidationError, ValidationInfo, field_validator, model_validator
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
from streams.configuration.errors import not_json, problem_line, unknown_variables
from streams.configuration.events import EventSettings
from streams.configuration.fields import (
    ALL,
    CONFIG_VARIABLE,
    INTAKE,
    LEARNER,
    LONGEST_S,
    MAX_SEED,
    PREFIX,
    SERVE,
    TOOLS,
    WORKER,
    Change,
    Subject,
    about,
    from_environment,
    none_if_empty,
    setting,
)
from streams.configuration.http import HttpSettings
from streams.configuration.intake import IntakeSettings
from streams.configuration.kafka import KafkaSettings
from streams.configuration.security import SecuritySettings
from streams.errors import FAILED, Refused

RANKINGS, MODEL = Subject.RANKINGS, Subject.MODEL
WORK, OBSERVING = Subject.WORKER, Subject.OBSERVING
ROLLING, TOGETHER = Change.ROLLING, Change.TOGETHER


class SettingsError(Refused):
    """A setting is wrong. The message is one line: the value, what is allowed, and what to do."""

    # At work, only a certificate file is read again. It may be valid again after a restart.
    exit_code_at_work = FAILED


class Settings(KafkaSettings, EventSettings, IntakeSettings, HttpSettings, SecuritySettings, BaseSettings):
    """Every setting, by subject, the most used first. A name ends in its unit, if it has one."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, allow_inf_nan=False)

    exclude: Literal["nothing", "purchased", "seen"] = setting(
        "nothing", "Items of the session that are not recommended again.", RANKINGS, WORKER, ROLLING
    )
    published: int = setting(
        50, "Items in a published recommendation. Consumers usually show 20; the rest is room for their filters.",
        RANKINGS, WORKER, ROLLING, "items", ge=1, le=200,
    )  # fmt: skip
    session_gap_s: float = setting(
        1800.0, "A session without a `session_id` ends after this much event time without an event.",
        RANKINGS, WORKER + TOOLS, ROLLING, gt=0, le=LONGEST_S,
    )  # fmt: skip
    session_early_s: float = setting(
        1800.0, "An event at most this much earlier than the first event of its session belongs to the session, too. "
        "An event that names its session belongs to it in any case.",
        RANKINGS, WORKER + TOOLS, ROLLING, ge=0, le=LONGEST_S,
    )  # fmt: skip
    session_ttl_s: float = setting(
        7 * 86400.0, "A user's sessions are removed after this much Kafka time without an event. The default is 7 days.",
        RANKINGS, WORKER, ROLLING, gt=0, le=LONGEST_S,
    )  # fmt: skip

    model: str = setting(
        "hybrid", "Method that ranks: the hybrid, one of its parts alone, a baseline, or `null`, which ranks nothing.",
        MODEL, WORKER + LEARNER + TOOLS, TOGETHER, choices=(*METHODS, "null"),
    )  # fmt: skip
    encoder: str = setting(
        "gru", "Session encoder of the hybrid: `gru` is more accurate, `recency` is faster.",
        MODEL, WORKER + LEARNER + TOOLS, TOGETHER, choices=tuple(ENCODERS),
    )  # fmt: skip
    profile: Literal["balanced", "fast"] = setting(
        "balanced", "`balanced` favours accuracy, `fast` favours speed.", MODEL, WORKER + LEARNER + TOOLS, TOGETHER
    )
    max_items: int = setting(
        250_000, "Maximum number of items that the model knows, which bounds its memory. Those unseen for longest are evicted.",
        MODEL, WORKER + LEARNER + SERVE + TOOLS, TOGETHER, "items", ge=256,
    )  # fmt: skip
    snapshot_every_s: float = setting(
        60.0, "The learner writes a snapshot of the model to Kafka at this interval. `model-updates` must keep records for ten "
        "intervals.",
        MODEL, WORKER + LEARNER + TOOLS, ROLLING, gt=0, le=LONGEST_S,
    )  # fmt: skip
    model_updates_ms: int = setting(
        250, "The trainer publishes the parameters that have changed at this interval. With a shorter one, rankings follow "
        "sooner and `model-updates` has more bytes.",
        MODEL, WORKER + LEARNER, ROLLING, ge=20, le=60_000,
    )  # fmt: skip
    thin_above: int = setting(
        10_000, "If more transitions than this wait for the trainer, it trains on half of the learning steps, above twice as "
        "many on a quarter, above four times as many on an eighth. The counts of the experts stay complete. 0 trains on all.",
        MODEL, WORKER + LEARNER, ROLLING, "transitions", ge=0, le=1_000_000_000,
    )  # fmt: skip
    trainer: Literal["elected", "separate"] = setting(
        "elected", "Where the model is trained: with `elected` beside one of the workers, which their group elects; with "
        "`separate` by `ouzel learner`.",
        MODEL, WORKER + LEARNER, TOGETHER,
    )  # fmt: skip
    seed: int = setting(0, "Seed of the model's random numbers.", MODEL, WORKER + LEARNER + TOOLS, TOGETHER, ge=0, le=MAX_SEED)

    data_dir: Path = setting(
        Path(".ouzel"), "Folder of a worker's RocksDB; each worker needs its own. `ouzel replay` keeps its position there, and "
        "`ouzel dead-letters` what it has sent again.",
        WORK, WORKER + TOOLS, ROLLING, "path of a folder",
    )  # fmt: skip
    delivery: Literal["leased", "exactly_once"] = setting(
        "leased", "`leased`: outputs may repeat after a crash. `exactly_once`: one transaction per unit of work, for consumers "
        "that read `read_committed`.",
        WORK, WORKER + LEARNER + INTAKE, ROLLING,
    )  # fmt: skip
    instance_id: str | None = setting(
        None, "Name of this worker in its group (static membership), so that a restart causes no rebalance. Each worker needs "
        "its own.",
        WORK, WORKER + INTAKE, ROLLING,
    )  # fmt: skip
    session_timeout_s: float = setting(
        10.0, "A worker that sends no heartbeat for this time loses its partitions to the others.",
        WORK, WORKER + LEARNER + INTAKE + TOOLS, ROLLING, ge=1, le=300,
    )  # fmt: skip
    stall_timeout_s: float = setting(
        60.0, "A worker that makes no progress for this time, although events wait, exits to be restarted.",
        WORK, WORKER + LEARNER + INTAKE, ROLLING, ge=5, le=LONGEST_S,
    )  # fmt: skip
    transaction_timeout_s: float = setting(
        10.0, "Kafka aborts a dead worker's transaction after this time, with `exactly_once`.",
        WORK, WORKER + INTAKE, ROLLING, ge=1, le=900,
    )  # fmt: skip
    max_poll_records: int = setting(
        1024, "Maximum number of events in a unit of work.", WORK, WORKER + INTAKE, ROLLING, "events", ge=1, le=20_000
    )
    fetch_max_wait_ms: int | None = setting(
        None, "A broker answers a fetch after this time at the latest, even without records. Default: 250, "
        "25 for an intake, 100 with the embedded broker, which answers late if records come meanwhile.",
        WORK, WORKER + SERVE + INTAKE, ROLLING, ge=1, le=5000,
    )  # fmt: skip
    idempotent: bool = setting(
        True, "Whether the broker supports idempotent producers and transactions. Only the embedded one needs `false`.",
        WORK, ALL, ROLLING,
    )  # fmt: skip

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "Lowest level that is logged.", OBSERVING, WORKER + LEARNER + SERVE + INTAKE, ROLLING
    )
    log_format: Literal["auto", "json", "text"] = setting(
        "auto", "Format of log lines; `auto` is text on a terminal and JSON elsewhere.",
        OBSERVING, WORKER + LEARNER + SERVE + INTAKE, ROLLING,
    )  # fmt: skip
    metrics_host: str = setting(
        "127.0.0.1", "Address of a worker's or an intake's Prometheus endpoint.",
        OBSERVING, WORKER + LEARNER + INTAKE, ROLLING, "host name or IP address",
    )  # fmt: skip
    metrics_port: int = setting(
        9464, "Port of a worker's or an intake's Prometheus endpoint; 0 turns it off.",
        OBSERVING, WORKER + LEARNER + SERVE + INTAKE, ROLLING, ge=0, le=65535,
    )  # fmt: skip

    _optional_names = field_validator("instance_id", mode="before")(none_if_empty)

    @field_validator("data_dir", mode="before")
    @classmethod
    def _is_named(cls, value: object) -> object:
        """Reject an empty text: as a path it would be the present folder."""
        if value == "":
            raise ValueError("it is empty")
        return value

    @field_validator("model", "encoder")
    @classmethod
    def _is_known(cls, value: str, info: ValidationInfo) -> str:
        if value not in about(cls.model_fields[str(info.field_name)]).choices:
            raise ValueError("unknown name")
        return value

    @model_validator(mode="after")
    def _transactional(self) -> Settings:
        if self.delivery == "exactly_once" and not self.idempotent:
            raise ValueError("delivery: exactly_once requires idempotent. Set idempotent to true, or delivery to leased.")
        return self

    @property
    def transaction_timeout_ms(self) -> int:
        """The transaction timeout in milliseconds, as Kafka takes it."""
        return int(self.transaction_timeout_s * 1000)

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


def load_settings(broker: str | None = None) -> Settings:
    """Read the environment and the file. Raises `SettingsError`.

    ``broker`` takes precedence over both, if it is given.
    """
    path, fields = os.environ.get(CONFIG_VARIABLE), Settings.model_fields
    try:
        if path and not Path(path).is_file():
            raise SettingsError(f"{CONFIG_VARIABLE}: there is no file {path}. Correct or unset {CONFIG_VARIABLE}.")
        if unknown := unknown_variables(fields):
            raise SettingsError(" ".join(unknown))
        return Settings() if broker is None else Settings(broker=broker)
    except ValidationError as error:
        raise SettingsError(" ".join(problem_line(dict(problem), fields) for problem in error.errors())) from None
    except SourceError as error:
        raise SettingsError(not_json(str(error), fields)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{CONFIG_VARIABLE}: {path} is not TOML: {error}. Correct the file.") from None
    except OSError as error:
        raise SettingsError(f"{CONFIG_VARIABLE}: {path}: {error.strerror}. Let this process read the file.") from None


def sources(settings: Settings) -> dict[str, str]:
    """Return where each value came from: ``environment``, ``file`` or ``default``."""
    path = os.environ.get(CONFIG_VARIABLE)
    from_file = tomllib.loads(Path(path).read_text()) if path else {}
    return {
        name: "environment" if from_environment(name) is not None else "file" if name in from_file else "default"
        for name in type(settings).model_fields
    }
