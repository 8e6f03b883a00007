"""uvicorn's protocol is the one that `BoundedProtocol` was written for."""

from __future__ import annotations

import hashlib
import inspect

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

KNOWN = {
    "__init__": "4f08999410347141",
    "connection_made": "6efb565ff3d36b91",
    "connection_lost": "c91a4c9bf2e29c55",
    "data_received": "010a7ae59a5d3b1a",
    "on_message_begin": "96d377fdc7c2baef",
    "on_headers_complete": "1ea8589acfad92d8",
    "on_message_complete": "1fbad42dc31fc01f",
    "pause_writing": "17a8fd215d96a13c",
    "resume_writing": "7844bbaa8cceb1ef",
    "timeout_keep_alive_handler": "8b53bf5f2e202970",
    "send_400_response": "ae5a4a3782b646fd",
}


def test_uvicorn_has_not_changed_under_our_overrides() -> None:
    sources = {name: inspect.getsource(getattr(HttpToolsProtocol, name)) for name in KNOWN}
    digests = {name: hashlib.sha256(source.encode()).hexdigest()[:16] for name, source in sources.items()}
    assert digests == KNOWN, "uvicorn changed: read the new source, adapt serving/http/protocol.py, then update the digests"
