"""Server-sent events, as a client receives them."""

from __future__ import annotations

import http.client
import threading

from support.processes.serve_process import ServeProcess


class Events:
    """A stream of server-sent events, read by a thread."""

    def __init__(self, serve: ServeProcess, path: str, **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", serve.port, timeout=30)
        self._connection.request("GET", path, headers=headers)
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.events: list[dict[str, str]] = []
        self.comments = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self._response:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                self.comments += line.startswith(b":")
                if name:
                    fields[name] = value
                elif "data" in fields:
                    self.events.append(fields)
                    fields = {}
                else:
                    fields = {}
        except (OSError, ValueError, AttributeError):
            pass  # `close` was called

    def close(self) -> None:
        """Disconnect; the thread then ends."""
        self._connection.close()
