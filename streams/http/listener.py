"""Opens the socket that a process listens on, and the files that its connections need."""

from __future__ import annotations

import resource
import socket

from streams.http.places import RESERVED

OTHER_FILES = 256
"""Open files beside the connections of clients: of Kafka, RocksDB, logs."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on this address. Raises `OSError` with a reason.

    It listens at once: of two sockets that are only bound, the second would fail later.
    """
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a host name may be too long to look up
        raise OSError(0, str(error)) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def connections_allowed(most: int) -> int:
    """Let this process open as many files as ``most`` connections need, where the system allows it.

    Returns the number of connections that the system allows, at most ``most``.
    """
    wanted = most + RESERVED + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, soft - RESERVED - OTHER_FILES))
