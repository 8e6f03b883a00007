"""The settings of the connection to Kafka, and the key of hashes of users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pydantic import SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from streams.setting_fields import ALL, INTAKE, SERVE, WORKER, Change, Subject, none_if_empty, setting

SECURITY, ROLLING = Subject.SECURITY, Change.ROLLING
SASL = ("sasl_mechanism", "sasl_username", "sasl_password")
TLS = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
PEM_FILE = "path of a PEM file"
Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


class SecuritySettings(BaseSettings):
    """The part of `Settings` that concerns security, the most used first."""

    security_protocol: Protocol = setting(
        "PLAINTEXT", "How to connect to Kafka: SSL stands for TLS, SASL for a user name and a password.", SECURITY, ALL, ROLLING
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = setting(
        None, "How to authenticate. Required by the SASL protocols.", SECURITY, ALL, ROLLING
    )
    sasl_username: str | None = setting(None, "Name of Kafka's user. Required by the SASL protocols.", SECURITY, ALL, ROLLING)
    sasl_password: SecretStr | None = setting(
        None, "Password of Kafka's user. Required by the SASL protocols.", SECURITY, ALL, ROLLING
    )
    ssl_cafile: Path | None = setting(
        None, "Certificate authorities to trust. Default: those of the system.", SECURITY, ALL, ROLLING, PEM_FILE
    )
    ssl_certfile: Path | None = setting(None, "Certificate to present if Kafka requires one.", SECURITY, ALL, ROLLING, PEM_FILE)
    ssl_keyfile: Path | None = setting(
        None, "Private key of the certificate, without a passphrase. Not needed if `ssl_certfile` contains it.",
        SECURITY, ALL, ROLLING, PEM_FILE,
    )  # fmt: skip
    hash_key: SecretStr | None = setting(
        None, "Secret key of the hashes that stand for deleted users, and for users in logs. All processes need the same key. "
        "Without it, `app_id` is the key of deleted users, and logs withhold user ids.",
        SECURITY, WORKER + SERVE + INTAKE, Change.NEVER,
    )  # fmt: skip

    _optional_texts = field_validator(*SASL, *TLS, mode="before")(none_if_empty)

    @field_validator(*TLS)
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("no such file")
        return value

    @model_validator(mode="after")
    def _whole(self) -> SecuritySettings:
        """Reject missing settings, and those that the protocol ignores.

        Nobody should rely on a password that is not used.
        """
        protocol = self.security_protocol
        if missing := [name for name in SASL if protocol.startswith("SASL") and not getattr(self, name)]:
            raise ValueError(f"security_protocol: {protocol} requires {', '.join(missing)}. Set what is missing.")
        if unused := self._unused(protocol):
            others = [other for other in get_args(Protocol) if not self._unused(other)]
            raise ValueError(
                f"security_protocol: {protocol} does not use {', '.join(unused)}. "
                f"Remove what is not used, or set security_protocol to {' or '.join(others)}."
            )
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile: requires ssl_certfile. Set ssl_certfile to the certificate of this key.")
        return self

    def _unused(self, protocol: str) -> Sequence[str]:
        """Return the settings that have a value although this protocol ignores them."""
        ignored = (() if protocol.startswith("SASL") else SASL) + (() if protocol.endswith("SSL") else TLS)
        return [name for name in ignored if getattr(self, name)]
