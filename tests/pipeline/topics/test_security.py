"""One set of security settings reaches every client: kafka-python, aiokafka and Faust."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import UserScramCredentialUpsertion
from pydantic import SecretStr
from support.logins.certificates import Certificates
from support.logins.token_endpoint import TokenEndpoint, issued, unsecured_token
from support.processes.running import WorkerProcess, fresh_settings, wait_until

from serving.demo.brokers import ApacheBroker
from serving.demo.processes import free_ports
from streams.kafka.connection import NoBroker, client_config
from streams.kafka.producing import Sender
from streams.kafka.topic_checks import check_topics
from streams.kafka.topics import create_topics
from streams.settings import Settings

SECRET = "sesame-open-9"
LOGIN = "org.apache.kafka.common.security"
VALIDATOR = f"{LOGIN}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
SESSION_MS = 2_000
"""Kafka closes the connection of a token's client that sends a request after this time."""


class SecuredBroker(ApacheBroker):
    """A broker with a listener for each protocol; that of ``SSL`` requires a client certificate."""

    def __init__(self, home: Path, certificates: Certificates) -> None:
        super().__init__(home)
        self.certificates = certificates
        protocols = ("SASL_PLAINTEXT", "SASL_SSL", "SSL")
        self.addresses = dict(zip(protocols, (f"127.0.0.1:{port}" for port in free_ports(3)), strict=True))

    def properties(self) -> dict[str, str]:
        """The configuration with these listeners, their users and certificates."""
        properties, more = super().properties(), ",".join(f"{name}://{at}" for name, at in self.addresses.items())
        for name in ("listeners", "advertised.listeners"):
            properties[name] += f",{more}"
        for listener in ("sasl_plaintext", "sasl_ssl"):
            name = f"listener.name.{listener}"
            properties[f"{name}.plain.sasl.jaas.config"] = f'{LOGIN}.plain.PlainLoginModule required user_ann="{SECRET}";'
            for bits in ("256", "512"):
                properties[f"{name}.scram-sha-{bits}.sasl.jaas.config"] = f"{LOGIN}.scram.ScramLoginModule required;"
            bearer = f'{LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
            properties |= {
                f"{name}.oauthbearer.sasl.jaas.config": bearer,
                f"{name}.oauthbearer.sasl.server.callback.handler.class": VALIDATOR,
                f"{name}.oauthbearer.connections.max.reauth.ms": str(SESSION_MS),
            }
        protocols = ("CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT", *(f"{name}:{name}" for name in self.addresses))
        return properties | {
            "listener.security.protocol.map": ",".join(protocols),
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.certificates.store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.authority),
            "listener.name.ssl.ssl.client.auth": "required",
        }


@pytest.fixture(scope="module")
def secured(kafka_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker that has the user ann, with a password for each mechanism."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: no certificates")
    with SecuredBroker(kafka_home, Certificates(tmp_path_factory.mktemp("tls"))) as broker:
        assert isinstance(broker, SecuredBroker)
        client = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            made = client.alter_user_scram_credentials([UserScramCredentialUpsertion("ann", mechanism, SECRET, iterations=4096)])
            assert made == {"ann": None}
        client.close()
        yield broker


def with_security(broker: SecuredBroker, directory: Path, protocol: str, mechanism: str | None, **changes: object) -> Settings:
    """Settings that connect as ann by this protocol and mechanism."""
    fields: dict[str, object] = {"security_protocol": protocol}
    if mechanism == "OAUTHBEARER":
        fields |= {"sasl_mechanism": mechanism, "oauth_client_id": "ouzel", "oauth_client_secret": SECRET}
    elif mechanism:
        fields |= {"sasl_mechanism": mechanism, "sasl_username": "ann", "sasl_password": SECRET}
    if protocol.endswith("SSL"):
        fields["ssl_cafile"] = broker.certificates.authority
    if protocol == "SSL":
        fields |= {"ssl_certfile": broker.certificates.certificate, "ssl_keyfile": broker.certificates.key}
    return fresh_settings(broker.addresses[protocol], directory, **(fields | changes))


def in_environment(settings: Settings) -> dict[str, str]:
    """The security settings as ``OUZEL_*`` variables."""
    fields = {
        name: getattr(settings, name)
        for name in Settings.model_fields
        if name.startswith(("sasl_", "ssl_", "security_", "oauth_"))
    }
    fields |= {name: value.get_secret_value() for name, value in fields.items() if isinstance(value, SecretStr)}
    return {f"OUZEL_{name.upper()}": str(value) for name, value in fields.items() if value is not None}


@pytest.mark.parametrize(
    ("protocol", "mechanism"),
    [("SASL_PLAINTEXT", "PLAIN"), ("SASL_SSL", "SCRAM-SHA-512"), ("SSL", None)],
)
def test_events_become_recommendations_by_each_protocol(
    secured: SecuredBroker, tmp_path: Path, worker: Callable[..., WorkerProcess], protocol: str, mechanism: str | None
) -> None:
    settings = with_security(secured, tmp_path, protocol, mechanism)
    create_topics(settings)
    running = worker(settings, **in_environment(settings))
    running.wait_ready()
    with Sender(settings) as sender:
        for item in ("a", "b"):
            sender.send(settings.topic("events"), b"ann", json.dumps({"user_id": "ann", "item_id": item}).encode())
    consumer = KafkaConsumer(
        settings.topic("recommendations"),
        **client_config(settings),
        group_id=None,
        auto_offset_reset="earliest",
        consumer_timeout_ms=30_000,
    )
    clicked: list[str] = []
    for record in consumer:
        clicked += [json.loads(record.value)["prefix"][-1]] if record.key == b"ann" else []
        if len(clicked) == 2:
            break
    consumer.close()
    assert clicked == ["a", "b"]
    assert running.stop() == 0
    assert SECRET not in running.log.read_text()


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_access_tokens_are_replaced_while_a_worker_works(
    secured: SecuredBroker, tmp_path: Path, worker: Callable[..., WorkerProcess], protocol: str
) -> None:
    with TokenEndpoint(lambda: issued(unsecured_token("ann", 3.0), expires_in=3)) as endpoint:
        settings = with_security(secured, tmp_path, protocol, "OAUTHBEARER", oauth_token_url=endpoint.url)
        create_topics(settings)
        running = worker(settings, **in_environment(settings))
        running.wait_ready()
        before, sent = len(endpoint.asked), 0
        while len(endpoint.asked) < before + 4:
            with Sender(settings) as sender:  # a client of kafka-python, whose process shares our cache
                sender.send(settings.topic("events"), b"ann", json.dumps({"user_id": "ann", "item_id": f"i{sent}"}).encode())
            sent += 1
            wait_until(lambda: running.done() == sent, "the event done", every_s=0.3)  # noqa: B023
        assert running.alive
        assert running.stop() == 0, running.tail()
        assert {asked.login for asked in endpoint.asked} == {f"ouzel:{SECRET}"}
    log = running.log.read_text()
    assert SECRET not in log
    assert "eyJ" not in log, "no token is logged"


def test_a_token_that_kafka_does_not_accept_is_one_line(
    secured: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.kafka.connection.CONNECT_MS", 2000)
    with TokenEndpoint(lambda: issued("a.b.c")) as endpoint:
        settings = with_security(secured, tmp_path, "SASL_PLAINTEXT", "OAUTHBEARER", oauth_token_url=endpoint.url)
        with pytest.raises(NoBroker, match=r"SaslAuthenticationFailedError|oauth_client_id and oauth_scope") as caught:
            check_topics(settings)
    assert "\n" not in str(caught.value)
    assert "a.b.c" not in str(caught.value)


def test_the_third_mechanism_logs_in_too(secured: SecuredBroker, tmp_path: Path) -> None:
    assert all("missing" in problem for problem in check_topics(with_security(secured, tmp_path, "SASL_SSL", "SCRAM-SHA-256")))


@pytest.mark.parametrize(
    ("protocol", "mechanism", "changes", "message"),
    [
        (
            "SASL_PLAINTEXT",
            "SCRAM-SHA-256",
            {"sasl_password": "wrong-word-7"},
            "SaslAuthenticationFailedError|sasl_username and sasl_password",
        ),
        ("SASL_SSL", "PLAIN", {"ssl_cafile": None}, "CERTIFICATE_VERIFY_FAILED"),
        ("SSL", None, {"ssl_certfile": None, "ssl_keyfile": None}, "certificate"),
    ],
)
def test_a_refused_login_is_one_line_without_the_secret(
    secured: SecuredBroker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
    mechanism: str | None,
    changes: dict[str, object],
    message: str,
) -> None:
    monkeypatch.setattr("streams.kafka.connection.CONNECT_MS", 2000)
    with pytest.raises(NoBroker) as caught:
        check_topics(with_security(secured, tmp_path, protocol, mechanism, **changes))
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
    assert "wrong-word-7" not in str(caught.value)
