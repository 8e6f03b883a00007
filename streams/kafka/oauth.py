"""Access tokens for Kafka, by the client credentials of OAuth 2 (RFC 6749, section 4.4)."""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote_plus, urlencode, urlsplit
from urllib.request import BaseHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from pydantic import SecretStr

from streams.errors import KafkaAway, OuzelError
from streams.settings import Settings, SettingsError

MOST_BYTES = 256 << 10
"""The longest answer of a token endpoint that is read."""
EARLY_S = 60.0
"""A token is replaced so long before it expires, but not before four fifths of its lifetime."""
DEFAULT_LIFETIME_S = 60.0
"""The lifetime of a token whose endpoint does not name one."""
PAUSE_S = 1.0
"""The shortest time between a failed request to the endpoint and the next one."""
TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
ERROR_CODE = re.compile(r"[a-z_]{1,40}")
MAY_PASS = {408, 425, 429, *range(500, 600)}
"""Status codes that do not say that the request was wrong."""


class TokenRefused(SettingsError):
    """The token endpoint rejects the settings, or is none. The message is one line."""


class TokenAway(KafkaAway):
    """The token endpoint does not answer, so nobody can log in to Kafka. Loops retry."""


class Token(NamedTuple):
    """An access token and its lifetime in seconds, counted from when it was requested."""

    text: str
    lifetime_s: float


@dataclass(frozen=True)
class Client:
    """Where a token comes from, and for whom. ``url`` is HTTPS, except on this machine."""

    url: str
    name: str
    secret: SecretStr
    scope: str | None
    cafile: Path | None
    timeout_s: float

    @property
    def place(self) -> str:
        """The URL without its query, for messages."""
        return urlsplit(self.url)._replace(query="", fragment="").geturl()


class Tokens:
    """Keeps the token of one client, and fetches another before it expires. Threads may share it.

    ``request`` fetches a token; it may block. While it fails, a token that has not expired is used
    on.
    """

    def __init__(self, request: Callable[[], Token], clock: Callable[[], float] = time.monotonic) -> None:
        self._request, self._clock, self._lock = request, clock, threading.Lock()
        self._text = ""
        self._replace_at = self._expires_at = self._again_at = float("-inf")
        self._error: OuzelError | None = None

    def kept(self) -> str | None:
        """Return the token, or ``None`` if `get` would fetch one. Does not block."""
        return self._text if self._clock() < self._replace_at else None

    def get(self) -> str:
        """Return a token that has not expired. Raises `TokenRefused` or `TokenAway`."""
        with self._lock:
            if (text := self.kept()) is not None:
                return text
            if self._clock() >= self._again_at:
                self._fetch()
            if self._error is not None and self._clock() >= self._expires_at:
                raise type(self._error)(str(self._error))
            return self._text

    def _fetch(self) -> None:
        began = self._clock()
        try:
            token = self._request()
        except (TokenRefused, TokenAway) as error:
            self._error, self._again_at = error, self._clock() + PAUSE_S
            return
        self._error, self._text = None, token.text
        self._expires_at = began + token.lifetime_s
        self._replace_at = self._expires_at - min(EARLY_S, token.lifetime_s / 5)


def tokens(settings: Settings) -> Tokens:
    """Return the tokens of these settings. All clients of a process share them."""
    secret = settings.oauth_client_secret
    assert settings.oauth_token_url is not None  # the settings are complete
    assert settings.oauth_client_id is not None
    assert secret is not None
    return _shared(
        Client(
            settings.oauth_token_url,
            settings.oauth_client_id,
            secret,
            settings.oauth_scope,
            settings.oauth_cafile,
            settings.oauth_timeout_s,
        )
    )


@lru_cache(maxsize=8)
def _shared(client: Client) -> Tokens:
    return Tokens(partial(fetch, client))


def fetch(client: Client) -> Token:
    """Request a token. Raises `TokenRefused` or `TokenAway`; no message contains a secret."""
    until = time.monotonic() + client.timeout_s
    try:
        with _opener(client).open(_request(client), timeout=client.timeout_s) as answer:
            return _token(client, _body(answer, until))
    except HTTPError as error:
        raise _answered(client, error) from None
    except (OSError, HTTPException, UnicodeError) as error:  # a host name may be none that can be looked up
        reason = error.reason if isinstance(error, URLError) else error
        raise TokenAway(f"oauth_token_url: {client.place} does not answer: {str(reason) or type(reason).__name__}") from None


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: it could lead to a place that must not see the secret."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(client: Client) -> OpenerDirector:
    handlers: list[BaseHandler]
    try:
        context = ssl.create_default_context(cafile=client.cafile)
    except OSError as error:
        raise TokenRefused(f"oauth_cafile: {client.cafile} contains no PEM certificates: {error}") from None
    handlers = [_NoRedirects(), HTTPSHandler(context=context)]
    if urlsplit(client.url).scheme == "http":  # on this machine; a proxy would be another one
        handlers.append(ProxyHandler({}))
    return build_opener(*handlers)


def _request(client: Client) -> Request:
    """Return the request. The client logs in by HTTP Basic, which every endpoint must support."""
    form = {"grant_type": "client_credentials"} | ({"scope": client.scope} if client.scope else {})
    login = f"{quote_plus(client.name)}:{quote_plus(client.secret.get_secret_value())}"
    headers = {"Accept": "application/json", "Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    return Request(client.url, urlencode(form).encode(), headers)  # noqa: S310  the settings allow HTTP on this machine only


def _body(answer: HTTPResponse, until: float) -> bytes:
    body = b""
    while len(body) <= MOST_BYTES and (part := answer.read1(MOST_BYTES)):
        body += part
        if time.monotonic() > until:
            raise TimeoutError("timed out")
    return body


def _token(client: Client, body: bytes) -> Token:
    fields = _fields(body)
    text = fields.get("access_token")
    if not isinstance(text, str) or not TOKEN.fullmatch(text) or str(fields.get("token_type", "bearer")).lower() != "bearer":
        problem = "is not JSON" if not fields else "has no bearer access_token"
        raise TokenRefused(f"oauth_token_url: the answer of {client.place} {problem}. Correct oauth_token_url.")
    try:
        lifetime_s = float(fields.get("expires_in", DEFAULT_LIFETIME_S))
    except (TypeError, ValueError, OverflowError):
        lifetime_s = DEFAULT_LIFETIME_S
    return Token(text, lifetime_s if lifetime_s > 0 else DEFAULT_LIFETIME_S)


def _answered(client: Client, error: HTTPError) -> OuzelError:
    """Return the error for a status other than 200."""
    with error:
        try:
            code = str(_fields(error.read(MOST_BYTES)).get("error", ""))
        except (OSError, HTTPException):
            code = ""
    status = f"{client.place} answers {error.code}" + (f" {code}" if ERROR_CODE.fullmatch(code) else "")
    if error.code in MAY_PASS:
        return TokenAway(f"oauth_token_url: {status}")
    if error.code in {400, 401, 403}:
        return TokenRefused(f"oauth_client_secret: {status}. Correct oauth_client_id, oauth_client_secret or oauth_scope.")
    where = ": a redirect, which is not followed" if 300 <= error.code < 400 else ""
    return TokenRefused(f"oauth_token_url: {status}{where}. Correct oauth_token_url.")


def _fields(body: bytes) -> dict[str, Any]:
    """Return the fields of a JSON object; none if the body is anything else, or too long."""
    try:
        fields = json.loads(body) if len(body) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
