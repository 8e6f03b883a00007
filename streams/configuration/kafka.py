"""The settings that say where Kafka is, and how Ouzel's topics and its group are named there."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Literal, get_args

from pydantic import ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings

from streams.configuration.fields import ALL, INTAKE, LEARNER, TOOLS, WORKER, Change, Subject, none_if_empty, setting

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
KAFKA, ROLLING, TOGETHER, NEVER = Subject.KAFKA, Change.ROLLING, Change.TOGETHER, Change.NEVER
NAME = "text of `A-Z a-z 0-9 . _ -`, 100 characters at most"
TOPIC_NAME = "text of `A-Z a-z 0-9 . _ -`, 249 characters at most"
TOPICS = (
    *("events", "items", "recommendations", "sessions-changelog", "transitions"),
    *("model-updates", "model", "dead-letters", "learner"),
)
"""Every topic, by the name that the code and the documentation use."""
HOST = re.compile(r"[\w-]+(\.[\w-]+)*\.?")
LEGAL_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}", re.ASCII)


class KafkaSettings(BaseSettings):
    """The part of `Settings` that concerns Kafka and topics, the most used first."""

    broker: str = setting(
        "127.0.0.1:9092", "Kafka brokers to connect to first; these name all others.",
        KAFKA, ALL, ROLLING, "`host:port`, separated by commas or semicolons; an IPv6 address is in brackets",
    )  # fmt: skip
    topic_prefix: str = setting(
        "ouzel.", "Prefix of the names of all topics that have no name of their own.",
        KAFKA, ALL, NEVER, NAME, pattern=r"^[A-Za-z0-9._-]{0,100}$",
    )  # fmt: skip
    events_topic: str | None = setting(
        None, "An existing topic of yours to read events from. Ouzel neither creates nor changes it.",
        KAFKA, ALL, NEVER, TOPIC_NAME,
    )  # fmt: skip
    items_topic: str | None = setting(
        None, "An existing topic of yours to read items from. Ouzel neither creates nor changes it.",
        KAFKA, ALL, NEVER, TOPIC_NAME,
    )  # fmt: skip
    topic_names: dict[str, str] = setting(
        {}, 'Names of Ouzel\'s own topics that differ from the prefix and the usual name, such as `{"recommendations": '
        '"reco.v1"}`.',
        KAFKA, ALL, NEVER, f"JSON object of topic names; its keys are among {', '.join(f'`{name}`' for name in TOPICS)}",
    )  # fmt: skip
    app_id: str = setting(
        "ouzel", "Consumer group of the workers, and prefix of their transactional ids. The intake adds `-intake` to it.",
        KAFKA, WORKER + LEARNER + INTAKE + TOOLS, NEVER, NAME, pattern=r"^[A-Za-z0-9._-]{1,100}$",
    )  # fmt: skip
    partitions: int = setting(
        4, "Partitions of `events`, `items`, `recommendations`, `sessions-changelog` and `dead-letters`. At most this many "
        "workers share the events. Run `ouzel topics grow` before you change it. Not needed with `events_topic`, whose number "
        "it then is.",
        KAFKA, ALL, TOGETHER, "partitions", ge=1, le=1000,
    )  # fmt: skip
    replication: int = setting(
        1, "Replication factor of the topics that `ouzel topics create` creates. Existing topics keep theirs.",
        KAFKA, TOOLS, ROLLING, "replicas", ge=1, le=9,
    )  # fmt: skip

    _optional_topics = field_validator("events_topic", "items_topic", mode="before")(none_if_empty)

    @field_validator("broker")
    @classmethod
    def _addresses(cls, value: str, info: ValidationInfo) -> str:
        return addresses(value, info.data.get("security_protocol"))

    @field_validator("events_topic", "items_topic")
    @classmethod
    def _is_legal(cls, value: str | None) -> str | None:
        if value is not None and not _legal(value):
            raise ValueError("Kafka has no such topic names")
        return value

    @field_validator("topic_names")
    @classmethod
    def _are_legal(cls, value: dict[str, str]) -> dict[str, str]:
        if unknown := next((name for name in value if name not in TOPICS), None):
            raise ValueError(f"Ouzel has no topic {unknown!r}")
        if illegal := [name for name in value.values() if not _legal(name)]:
            raise ValueError(f"{illegal[0]!r} is not {TOPIC_NAME}")
        return value

    @model_validator(mode="after")
    def _one_name_each(self) -> KafkaSettings:
        for name in self.topic_names:
            if self.is_provided(name):
                raise ValueError(
                    f"topic_names: {name_setting(name)} names the topic {name} already. Remove one of the two: "
                    f"{name_setting(name)} is for a topic of yours, topic_names for one that Ouzel creates."
                )
        used: dict[str, str] = {}
        for name in TOPICS:
            if (other := used.setdefault(self.topic(name), name)) != name:
                raise ValueError(
                    f"{self.topic(name)} would be the name of both {other} and {name}. Give each topic a name of its own."
                )
        return self

    @property
    def brokers(self) -> list[str]:
        """The addresses of the brokers as ``host:port``, as every client takes them."""
        return self.broker.split(",")

    def topic(self, name: str) -> str:
        """Return the full name of a topic that `TOPICS` has under this name."""
        return self._provided(name) or self.topic_names.get(name) or f"{self.topic_prefix}{name}"

    def is_provided(self, name: str) -> bool:
        """Return whether a topic is the user's own, which Ouzel neither creates nor changes."""
        return self._provided(name) is not None

    @property
    def learner_group(self) -> str:
        """The consumer group of `ouzel learner`."""
        return f"{self.app_id}-learner"

    @property
    def domain(self) -> str:
        """The topic prefix without its last dot. It names this deployment in Prometheus."""
        return self.topic_prefix.rstrip(".")

    def _provided(self, name: str) -> str | None:
        return {"events": self.events_topic, "items": self.items_topic}.get(name)


def name_setting(name: str) -> str:
    """Return the setting that names the user's own topic for ``events`` or ``items``."""
    return f"{name}_topic"


def addresses(text: str, security_protocol: str | None) -> str:
    """Return the addresses of brokers as ``host:port``, comma separated, without repetitions.

    Commas or semicolons separate them, with or without blanks. An address may have the scheme of
    Faust's URLs (``kafka://``), or that of Kafka's listeners if it is the security protocol. Raises
    ``ValueError`` that names an address of which the meaning is not plain.
    """
    parts = [part.strip() for part in re.split(r"[,;]", text)]
    found = [_address(part, security_protocol) for part in parts if part]
    if not found:
        raise ValueError("there is no address")
    return ",".join(dict.fromkeys(found))


def _address(part: str, security_protocol: str | None) -> str:
    if "@" in part:  # the message does not repeat what may be a password
        raise ValueError("an address contains an @; the login belongs in sasl_username and sasl_password")
    scheme, separator, place = part.rpartition("://")
    if separator:
        _check_scheme(part, scheme, security_protocol)
        place = place.removesuffix("/")
    host, _, port = place.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{part!r} is not host:port")
    if _is_ipv6(host):
        raise ValueError(f"{part!r} has an IPv6 address without brackets. Write [{host}]:{port}")
    if not (HOST.fullmatch(host) or (host[:1] + host[-1:] == "[]" and _is_ipv6(host[1:-1]))):
        raise ValueError(f"{part!r} is not host:port")
    return place


def _check_scheme(part: str, scheme: str, security_protocol: str | None) -> None:
    """Raise ``ValueError`` for a scheme that means nothing here, or another protocol than ours."""
    if scheme.lower() == "kafka":
        return
    if scheme.upper() not in get_args(Protocol):
        raise ValueError(f"{part!r} has the unknown scheme {scheme}://")
    if security_protocol is not None and scheme.upper() != security_protocol:
        raise ValueError(f"{part!r} names {scheme.upper()}, and security_protocol is {security_protocol}")


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def _legal(name: str) -> bool:
    return LEGAL_NAME.fullmatch(name) is not None and name not in (".", "..")
