"""uvicorn's protocol is the one that `BoundedProtocol` was written for."""

from __future__ import annotations

import hashlib
import inspect

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from streams.http.protocol import BoundedProtocol

KNOWN = {
    "__init__": "4f08999410347141",
    "connection_made": "6efb565ff3d36b91",
    "connection_lost": "c91a4c9bf2e29c55",
    "eof_received": "5652627579a02369",
    "data_received": "010a7ae59a5d3b1a",
    "on_message_begin": "96d377fdc7c2baef",
    "on_url": "37be44e962b04ca8",
    "on_header": "65d62c044f61fdbd",
    "on_headers_complete": "1ea8589acfad92d8",
    "on_body": "dba9c32aeba35b6a",
    "on_message_complete": "1fbad42dc31fc01f",
    "_start_asgi_task": "9c08c2571ae9b038",
    "on_response_complete": "64e254f28e389e76",
    "shutdown": "d7351fa33f00d430",
    "pause_writing": "17a8fd215d96a13c",
    "resume_writing": "7844bbaa8cceb1ef",
    "timeout_keep_alive_handler": "8b53bf5f2e202970",
    "RequestResponseCycle": "e67d470d435dcc1c",
}


def test_uvicorn_has_not_changed_under_our_overrides() -> None:
    overridden = [name for name in vars(BoundedProtocol) if callable(vars(HttpToolsProtocol).get(name))]
    sources = {name: inspect.getsource(getattr(HttpToolsProtocol, name)) for name in overridden}
    sources["RequestResponseCycle"] = inspect.getsource(RequestResponseCycle)
    digests = {name: hashlib.sha256(source.encode()).hexdigest()[:16] for name, source in sources.items()}
    assert digests == KNOWN, "uvicorn changed: read the new source, adapt streams/http/protocol.py, then update the digests"
