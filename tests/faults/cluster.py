"""A cluster of three Apache Kafka brokers on loopback, each also a controller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from serving.demo.brokers import ApacheBroker, new_cluster_id
from serving.demo.processes import free_ports

SIZE = 3


class Member(ApacheBroker):
    """One broker of the cluster, with one port for clients and one for controllers.

    ``number`` is its node id, ``identity`` the id of the cluster, ``voters`` all controllers.
    """

    def __init__(self, home: Path, number: int, identity: str, voters: str, ports: tuple[int, int]) -> None:
        overrides = {
            "node.id": str(number),
            "controller.quorum.voters": voters,
            "offsets.topic.replication.factor": str(SIZE),
            "transaction.state.log.replication.factor": str(SIZE),
            "transaction.state.log.min.isr": "2",
            "share.coordinator.state.topic.replication.factor": str(SIZE),
            "min.insync.replicas": "2",
            "default.replication.factor": str(SIZE),
            "broker.session.timeout.ms": "6000",
        }
        super().__init__(home, overrides)
        self.port, self.controller_port = ports
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._identity = identity

    def properties(self) -> dict[str, str]:
        """The configuration without a bootstrap address, as the voters are fixed."""
        properties = super().properties()
        del properties["controller.quorum.bootstrap.servers"]
        return properties

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        """Format the storage for a cluster with fixed voters, and return what to run."""
        config = self.folder / "server.properties"
        config.write_text("".join(f"{name}={value}\n" for name, value in self.properties().items()))
        environment = {"KAFKA_HEAP_OPTS": "-Xmx400m", "LOG_DIR": str(self.folder)}
        storage = str(self._home / "bin" / "kafka-storage.sh")
        self._run([storage, "format", "-t", self._identity, "-c", str(config)], environment)
        return [str(self._home / "bin" / "kafka-server-start.sh"), str(config)], environment

    def start(self) -> None:
        """Start without waiting: one broker of three does not answer before a second one runs."""
        command, environment = self.command()
        self._begin(command, environment)


class Cluster:
    """Three brokers that clients use as one; a context manager that starts and stops them."""

    def __init__(self, home: Path) -> None:
        ports = free_ports(2 * SIZE)
        voters = ",".join(f"{n + 1}@127.0.0.1:{ports[2 * n + 1]}" for n in range(SIZE))
        identity = new_cluster_id()
        self.members = [Member(home, n + 1, identity, voters, (ports[2 * n], ports[2 * n + 1])) for n in range(SIZE)]
        self.bootstrap = ",".join(member.bootstrap for member in self.members)

    def __enter__(self) -> Cluster:
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait_ready()
        return self

    def stop(self) -> None:
        """End all three brokers and remove their files."""
        for member in self.members:
            member.stop()
