"""Checks the Authorization header of a request against the API keys (RFC 6750)."""

from __future__ import annotations

from typing import NoReturn

from serving.http.problems import Problem
from serving.key_file import KeyScope
from serving.state.keys import Keys
from serving.state.telemetry import ServingTelemetry

_BEARER = b"bearer "
_CHALLENGE = {"www-authenticate": 'Bearer realm="ouzel"'}


def admit(keys: Keys, authorization: bytes, scope: KeyScope | None, telemetry: ServingTelemetry) -> None:
    """Check that an Authorization header carries a key with this scope.

    Does nothing if the operation needs no scope or no keys are in use. Raises `Problem` otherwise:
    401 with a challenge for a missing or unknown key, 403 for a key without the scope, 503 for any
    key while the file of keys cannot be used: no client can do anything about that. Each refusal is
    counted by its reason.
    """
    if scope is None or not keys.required:
        return
    if keys.refused is not None:
        telemetry.auth_refusals.labels("key_file").inc()
        raise Problem("keys-unavailable", "retry later; the log of the server has the reason", headers={"retry-after": "5"})
    if not authorization:
        _refuse(telemetry, "missing", "send a key: Authorization: Bearer KEY")
    if authorization[: len(_BEARER)].lower() != _BEARER:
        _refuse(telemetry, "scheme", "the scheme must be Bearer: Authorization: Bearer KEY")
    scopes = keys.scopes(_key(authorization))
    if scopes is None:
        _refuse(telemetry, "unknown", "this key is unknown or was revoked: ask the operator for another")
    if scope not in scopes:
        telemetry.auth_refusals.labels("scope").inc()
        has = ", ".join(sorted(scopes)) or "none"
        raise Problem("forbidden", f"this operation needs a key with the scope {scope}; your key has: {has}")


def allows(keys: Keys, authorization: bytes, scope: KeyScope | None) -> bool:
    """Tell whether `admit` would let this header pass, without counting a refusal."""
    if scope is None or not keys.required:
        return True
    return scope in (keys.scopes(_key(authorization)) or ())


def _refuse(telemetry: ServingTelemetry, reason: str, detail: str) -> NoReturn:
    telemetry.auth_refusals.labels(reason).inc()
    raise Problem("unauthorized", detail, headers=_CHALLENGE)


def _key(authorization: bytes) -> bytes:
    return authorization[len(_BEARER) :].strip()
