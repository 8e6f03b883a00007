"""An Apache Kafka that checks the rights of users, and the rights table of docs/operations.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from support.processes.running import wait_until

from serving.demo.brokers import ApacheBroker
from serving.demo.processes import free_ports
from streams.settings import Settings

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"
LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
USERS = tuple(f"user{number}" for number in range(60))
LOG4J = """\
status = error
appender.decisions.type = File
appender.decisions.name = decisions
appender.decisions.fileName = {file}
appender.decisions.layout.type = PatternLayout
appender.decisions.layout.pattern = %m%n
rootLogger.level = error
logger.decisions.name = kafka.authorizer.logger
logger.decisions.level = debug
logger.decisions.additivity = false
logger.decisions.appenderRef.decisions.ref = decisions
"""
DECISION = re.compile(r"Principal = User:(\w+) is (Allowed|Denied) operation = (\w+) .* on resource = (\w+):LITERAL:(\S+) ")
IMPLY_DESCRIBE = {"READ", "WRITE", "DELETE", "ALTER"}


class Right(NamedTuple):
    """The right to an operation on a resource.

    ``kind`` and ``operation`` are Kafka's words in upper case. A ``name`` that ends with ``*`` is a
    prefix.
    """

    kind: str
    name: str
    operation: str

    def covers(self, other: Right) -> bool:
        """Whether a user who has this right also has the other."""
        same = other.operation == self.operation or (other.operation == "DESCRIBE" and self.operation in IMPLY_DESCRIBE)
        named = other.name.startswith(self.name[:-1]) if self.name.endswith("*") else other.name == self.name
        return same and named and other.kind == self.kind


class AuthorizingBroker(ApacheBroker):
    """A broker that logs every decision it makes.

    On ``bootstrap``, every client is an administrator. On ``guarded``, a client logs in as one of
    `USERS` and may do what that user was granted.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        (port,) = free_ports(1)
        self.guarded = f"127.0.0.1:{port}"
        self._log = self.folder / "decisions.log"

    def command(self) -> tuple[list[str], Mapping[str, str]]:
        """What to run, with a log of the authorizer's decisions."""
        logging = self.folder / "log4j2.properties"
        logging.write_text(LOG4J.format(file=self._log))
        command, environment = super().command()
        log4j = {"KAFKA_LOG4J": str(logging), "KAFKA_LOG4J_OPTS": f"-Dlog4j2.configurationFile={logging}"}
        return list(command), {**environment, **log4j}

    def properties(self) -> dict[str, str]:
        """The configuration with the guarded listener, its users and the authorizer."""
        properties = super().properties()
        for name in ("listeners", "advertised.listeners"):
            properties[name] += f",SASL_PLAINTEXT://{self.guarded}"
        users = " ".join(f'user_{user}="{user}-word"' for user in USERS)
        return properties | {
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": f"{LOGIN} {users};",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def login(self, user: str) -> dict[str, str]:
        """The environment variables of a process that logs in as this user."""
        return {
            "OUZEL_BROKER": self.guarded,
            "OUZEL_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "OUZEL_SASL_MECHANISM": "PLAIN",
            "OUZEL_SASL_USERNAME": user,
            "OUZEL_SASL_PASSWORD": f"{user}-word",
        }

    def grant(self, user: str, rights: Iterable[Right]) -> None:
        """Grant rights to a user; returns when the broker has applied them."""
        acls = [_acl(user, right) for right in rights]
        of_user = ACLFilter(
            f"User:{user}",
            None,
            ACLOperation.ANY,
            ACLPermissionType.ANY,
            ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY),
        )
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        client.create_acls(acls)
        wait_until(lambda: len(client.describe_acls(of_user)[0]) == len(set(acls)), "the grants applied", every_s=0.01)
        client.close()

    def decisions(self, user: str) -> dict[Right, bool]:
        """Every right that a user has requested, and whether the broker always allowed it."""
        allowed: dict[Right, bool] = {}
        for line in self._log.read_text().splitlines():
            if (decision := DECISION.match(line)) and decision[1] == user:
                right = Right(decision[4].upper(), decision[5], decision[3])
                allowed[right] = allowed.get(right, True) and decision[2] == "Allowed"
        return allowed


def documented(program: str, settings: Settings) -> list[Right]:
    """The rights of a program in docs/operations.md, with the names that these settings give."""
    rights = []
    for line in OPERATIONS.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 4 or program not in re.findall(r"`([^`]+)`", cells[0]):
            continue
        kind = cells[1].upper().replace(" ", "")
        for name in re.findall(r"`([^`]+)`", cells[2]):
            real = settings.topic_prefix + name.removeprefix("ouzel.") if kind == "TOPIC" else settings.app_id + name[5:]
            rights += [Right(kind, real, _snake(operation)) for operation in cells[3].split(", ")]
    assert rights, f"docs/operations.md has no rights of {program}"
    return rights


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _acl(user: str, right: Right) -> ACL:
    kind = ResourceType["TRANSACTIONAL_ID" if right.kind == "TRANSACTIONALID" else right.kind]
    prefixed = right.name.endswith("*")
    pattern = ACLResourcePatternType.PREFIXED if prefixed else ACLResourcePatternType.LITERAL
    resource = ResourcePattern(kind, right.name.removesuffix("*"), pattern)
    return ACL(f"User:{user}", "*", ACLOperation[right.operation], ACLPermissionType.ALLOW, resource)
