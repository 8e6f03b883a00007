"""The settings of the connection to Kafka, and the key of hashes of users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings

from streams.configuration.fields import ALL, INTAKE, LEARNER, SERVE, WORKER, Change, Subject, none_if_empty, setting
from streams.configuration.kafka import Protocol

SECURITY, ROLLING = Subject.SECURITY, Change.ROLLING
PASSWORD = ("sasl_username", "sasl_password")
OAUTH = ("oauth_token_url", "oauth_client_id", "oauth_client_secret")
OAUTH_OPTIONS = ("oauth_scope", "oauth_cafile")
BEARER = "OAUTHBEARER"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
TLS = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
PEM_FILE = "path of a PEM file"
EXAMPLE_SECRETS = frozenset({"change-me", "change-me-too", "changeme", "..."})
"""The secrets in the documentation and in the files of `deploy`. Everybody knows them."""
HASH_KEY_BYTES = 16
"""Minimum length of `hash_key`: a shorter key could be guessed from the hash of a known user."""


class SecuritySettings(BaseSettings):
    """The part of `Settings` that concerns security, the most used first."""

    security_protocol: Protocol = setting(
        "PLAINTEXT", "How to connect to Kafka: SSL stands for TLS, SASL for a login.", SECURITY, ALL, ROLLING
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = setting(
        None,
        "How to log in: by a password, or by an access token (OAUTHBEARER). Required by the SASL protocols.",
        SECURITY,
        ALL,
        ROLLING,
    )
    sasl_username: str | None = setting(
        None, "Name of Kafka's user. Required by the mechanisms with a password.", SECURITY, ALL, ROLLING
    )
    sasl_password: SecretStr | None = setting(
        None, "Password of Kafka's user. Required by the mechanisms with a password.", SECURITY, ALL, ROLLING
    )
    oauth_token_url: str | None = setting(
        None, "Where OAUTHBEARER gets its access tokens, by client credentials (OAuth 2). Required by OAUTHBEARER.",
        SECURITY, ALL, ROLLING, "URL with `https://`, or with `http://` on this machine",
    )  # fmt: skip
    oauth_client_id: str | None = setting(
        None, "Id of the client that gets the tokens. Required by OAUTHBEARER.", SECURITY, ALL, ROLLING
    )
    oauth_client_secret: SecretStr | None = setting(
        None, "Secret of the client that gets the tokens. Required by OAUTHBEARER.", SECURITY, ALL, ROLLING
    )
    oauth_scope: str | None = setting(
        None, "Scope to request, if the token endpoint needs one.", SECURITY, ALL, ROLLING, "text; blanks separate scopes"
    )
    oauth_cafile: Path | None = setting(
        None, "Certificate authorities to trust for the token endpoint. Default: those of the system.",
        SECURITY, ALL, ROLLING, PEM_FILE,
    )  # fmt: skip
    oauth_timeout_s: float = setting(10.0, "How long the token endpoint may take to answer.", SECURITY, ALL, ROLLING, gt=0, le=60)
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
        SECURITY, WORKER + LEARNER + SERVE + INTAKE, Change.NEVER, f"secret text of at least {HASH_KEY_BYTES} bytes",
    )  # fmt: skip

    _optional_texts = field_validator("sasl_mechanism", *PASSWORD, *OAUTH, *OAUTH_OPTIONS, *TLS, "hash_key", mode="before")(
        none_if_empty
    )

    @field_validator("sasl_password", "oauth_client_secret", "hash_key")
    @classmethod
    def _is_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and value.get_secret_value().strip().lower() in EXAMPLE_SECRETS:
            raise ValueError("it is an example from the documentation, which everybody knows")
        return value

    @field_validator("hash_key")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (length := len(value.get_secret_value().encode())) < HASH_KEY_BYTES:
            raise ValueError(f"it has {length} bytes, at least {HASH_KEY_BYTES}; `openssl rand -hex 32` makes one")
        return value

    @field_validator("oauth_token_url")
    @classmethod
    def _is_private(cls, value: str | None) -> str | None:
        """Reject a URL that would show the secret to the network."""
        if value is None:
            return value
        try:
            url = urlsplit(value)
            correct = url.port != 0 and value.isascii() and value.isprintable() and " " not in value
        except ValueError:
            correct = False
        if not correct:
            raise ValueError("this is no URL")
        if "@" in url.netloc:
            raise ValueError("the login belongs in oauth_client_id and oauth_client_secret")
        if not url.hostname or not (url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)):
            raise ValueError("the secret would be sent in plain text, or nowhere")
        return value

    @field_validator("oauth_cafile", *TLS)
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
        protocol, mechanism = self.security_protocol, self.sasl_mechanism
        login = OAUTH if mechanism == BEARER else PASSWORD
        missing = [name for name in ("sasl_mechanism", *login) if protocol.startswith("SASL") and not getattr(self, name)]
        if missing:
            needs = f"sasl_mechanism: {BEARER}" if mechanism == BEARER else f"security_protocol: {protocol}"
            raise ValueError(f"{needs} requires {', '.join(missing)}. Set what is missing.")
        if unused := self._unused(protocol):
            others = [other for other in get_args(Protocol) if not self._unused(other)]
            raise ValueError(
                f"security_protocol: {protocol} does not use {', '.join(unused)}. "
                f"Remove what is not used, or set security_protocol to {' or '.join(others)}."
            )
        if protocol.startswith("SASL") and (unused := self._set(PASSWORD if mechanism == BEARER else (*OAUTH, *OAUTH_OPTIONS))):
            raise ValueError(f"sasl_mechanism: {mechanism} does not use {', '.join(unused)}. Remove what is not used.")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ValueError("ssl_keyfile: requires ssl_certfile. Set ssl_certfile to the certificate of this key.")
        return self

    def _unused(self, protocol: str) -> Sequence[str]:
        """Return the settings that have a value although this protocol ignores them."""
        sasl = ("sasl_mechanism", *PASSWORD, *OAUTH, *OAUTH_OPTIONS)
        return self._set((() if protocol.startswith("SASL") else sasl) + (() if protocol.endswith("SSL") else TLS))

    def _set(self, names: Sequence[str]) -> Sequence[str]:
        return [name for name in names if getattr(self, name)]
