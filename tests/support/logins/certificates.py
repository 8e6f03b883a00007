"""Certificates for servers on this machine, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Certificates:
    """A certificate authority, and one certificate for 127.0.0.1 that server and clients use."""

    def __init__(self, folder: Path) -> None:
        self.authority, self.certificate, self.key = (folder / name for name in ("ca.pem", "own.pem", "own.key"))
        self.store = folder / "store.pem"
        ca_key, request, extension = (str(folder / name) for name in ("ca.key", "own.csr", "san.cnf"))
        # Since 3.13, Python refuses certificates that lack what RFC 5280 requires.
        Path(extension).write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
        new, usage = ("req", "-newkey", "rsa:2048", "-nodes"), ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._run(*new, "-x509", "-days", "2", "-subj", "/CN=authority", *usage, "-keyout", ca_key, "-out", str(self.authority))
        self._run(*new, "-subj", "/CN=127.0.0.1", "-keyout", str(self.key), "-out", request)
        signed = ("-CA", str(self.authority), "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", extension)
        self._run("x509", "-req", "-in", request, *signed, "-out", str(self.certificate))
        self.store.write_text(self.key.read_text() + self.certificate.read_text())

    @staticmethod
    def _run(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
