"""A token endpoint of OAuth 2 on this machine, and tokens that Kafka accepts without a key."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple
from urllib.parse import parse_qs

from support.logins.certificates import Certificates

PATH = "/oauth/token"


class Answer(NamedTuple):
    """What the endpoint answers."""

    status: int = 200
    body: bytes = b""
    location: str = ""


class Asked(NamedTuple):
    """What the endpoint was asked."""

    path: str
    login: str
    form: dict[str, list[str]]


def unsecured_token(subject: str, lifetime_s: float = 3600.0) -> str:
    """A JSON web token without a signature, which Kafka's validator for tests accepts."""
    now = time.time()
    parts = ({"alg": "none"}, {"sub": subject, "iat": now, "exp": now + lifetime_s})
    return "".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") + "." for part in parts)


def issued(token: str, **fields: object) -> Answer:
    """The answer that carries a token."""
    return Answer(200, json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600} | fields).encode())


class TokenEndpoint:
    """A context manager that serves ``answer``; ``asked`` are the requests so far."""

    def __init__(self, answer: Callable[[], Answer], certificates: Certificates | None = None) -> None:
        self.asked: list[Asked] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                login = base64.b64decode(self.headers["authorization"].removeprefix("Basic ")).decode()
                endpoint.asked.append(Asked(self.path, login, parse_qs(body)))
                status, content, location = answer()
                self.send_response(status)
                if location:
                    self.send_header("location", location)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if certificates is not None:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates.certificate, certificates.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}{PATH}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> TokenEndpoint:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
