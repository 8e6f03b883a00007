"""Access tokens: requested, kept, replaced in time, and refused in one line without a secret."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError as AiokafkaConnectionError
from kafka.errors import KafkaConnectionError
from pydantic import SecretStr, ValidationError
from support.logins.certificates import Certificates
from support.logins.token_endpoint import PATH, Answer, TokenEndpoint, issued
from support.processes.running import free_port

from serving.cli import main
from streams.errors import KafkaAway, Refused
from streams.kafka.connection import aiokafka_config, client_config, connection, faust_credentials
from streams.kafka.oauth import Client, Token, TokenAway, TokenRefused, Tokens, fetch
from streams.kafka.token_providers import AiokafkaTokens, KafkaPythonTokens
from streams.settings import Settings

SECRET = "pass word+7&=é"
ENDPOINT = "https://login.example/token"
LOGIN = {"oauth_token_url": ENDPOINT, "oauth_client_id": "ouzel", "oauth_client_secret": SECRET}
BEARER = {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER"}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("OUZEL_"):
            monkeypatch.delenv(name)


def client(url: str, **changes: Any) -> Client:
    fields: dict[str, Any] = {"name": "ouzel", "secret": SecretStr(SECRET), "scope": None, "cafile": None, "timeout_s": 5.0}
    return Client(url, **(fields | changes))


def bearer(url: str = ENDPOINT, **changes: Any) -> Settings:
    return Settings(**(BEARER | LOGIN | {"oauth_token_url": url} | changes))


class Clock:
    """A clock that tests set, and a token endpoint that counts."""

    def __init__(self) -> None:
        self.now, self.requests = 1000.0, 0
        self.error: TokenRefused | TokenAway | None = None
        self.tokens = Tokens(self.request, lambda: self.now)

    def request(self) -> Token:
        self.requests += 1
        if self.error is not None:
            raise self.error
        return Token(f"token-{self.requests}", 600.0)


def test_a_token_is_requested_by_client_credentials() -> None:
    with TokenEndpoint(lambda: issued("a.b.", expires_in=300)) as endpoint:
        assert fetch(client(endpoint.url, scope="kafka read")) == Token("a.b.", 300.0)
        (asked,) = endpoint.asked
    assert asked.path == PATH
    assert asked.login == "ouzel:pass+word%2B7%26%3D%C3%A9"
    assert asked.form == {"grant_type": ["client_credentials"], "scope": ["kafka read"]}


def test_a_token_without_a_lifetime_is_kept_for_a_minute() -> None:
    for lifetime in (None, "soon", -1, 10**400, float("nan")):
        with TokenEndpoint(lambda lifetime=lifetime: issued("t", expires_in=lifetime)) as endpoint:  # type: ignore[misc]
            assert fetch(client(endpoint.url)) == Token("t", 60.0)


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (
            Answer(401, b'{"error": "invalid_client"}'),
            TokenRefused,
            "answers 401 invalid_client. Correct oauth_client_id, oauth_cl",
        ),
        (Answer(401, b"<html>"), TokenRefused, "answers 401. Correct oauth_client_id, oauth_client_secret or oauth_scope."),
        (Answer(400, b'{"error": "pass word+7"}'), TokenRefused, "answers 400. Correct"),
        (Answer(404), TokenRefused, "answers 404. Correct oauth_token_url."),
        (Answer(302, location="http://127.0.0.1:1/"), TokenRefused, "answers 302: a redirect, which is not followed. Correct"),
        (Answer(307, location="ftp://127.0.0.1:1/"), TokenRefused, "answers 307: a redirect, which is not followed. Correct"),
        (Answer(200, b"<html>"), TokenRefused, "is not JSON. Correct oauth_token_url."),
        (Answer(200, b"\xff"), TokenRefused, "is not JSON. Correct oauth_token_url."),
        (Answer(200, b"[" * 100_000), TokenRefused, "is not JSON. Correct oauth_token_url."),
        (Answer(200, b" " * (300 << 10)), TokenRefused, "is not JSON. Correct oauth_token_url."),
        (Answer(200, b'{"id_token": "x"}'), TokenRefused, "has no bearer access_token. Correct oauth_token_url."),
        (issued("a\x01b"), TokenRefused, "has no bearer access_token."),
        (issued(""), TokenRefused, "has no bearer access_token."),
        (issued("x", token_type="mac"), TokenRefused, "has no bearer access_token."),
        (Answer(503), TokenAway, "answers 503"),
        (Answer(429), TokenAway, "answers 429"),
    ],
)
def test_every_other_answer_is_one_line_without_the_secret(answer: Answer, kind: type[Exception], message: str) -> None:
    with TokenEndpoint(lambda: answer) as endpoint:
        with pytest.raises(kind) as caught:
            fetch(client(f"{endpoint.url}?code=hidden"))
        assert len(endpoint.asked) == 1
        assert endpoint.url in str(caught.value)
    assert message in str(caught.value)
    for part in ("\n", "pass", "hidden"):
        assert part not in str(caught.value)


def test_an_endpoint_that_does_not_answer_counts_as_kafka_away() -> None:
    with pytest.raises(TokenAway, match=r"oauth_token_url: http://127.0.0.1:\d+/ does not answer: .*refused"):
        fetch(client(f"http://127.0.0.1:{free_port()}/"))
    with pytest.raises(TokenAway, match="does not answer"):
        fetch(client(f"https://{'x' * 70}.invalid/"))
    answered = threading.Event()
    with TokenEndpoint(lambda: (answered.wait(5), issued("t"))[1]) as endpoint:
        with pytest.raises(TokenAway, match="does not answer: timed out"):
            fetch(client(endpoint.url, timeout_s=0.05))
        answered.set()
    assert issubclass(TokenAway, KafkaAway)
    assert issubclass(TokenRefused, Refused)
    assert TokenRefused.exit_code == 2


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_endpoint_is_known_by_its_certificate(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with TokenEndpoint(lambda: issued("t"), certificates) as endpoint:
        with pytest.raises(TokenAway, match="CERTIFICATE_VERIFY_FAILED"):
            fetch(client(endpoint.url))
        assert endpoint.asked == []
        assert fetch(client(endpoint.url, cafile=certificates.authority)).text == "t"
    (tmp_path / "none.pem").write_text("none")
    with pytest.raises(TokenRefused, match=r"oauth_cafile: .*none\.pem contains no PEM certificates"):
        fetch(client("https://127.0.0.1:1", cafile=tmp_path / "none.pem"))


def test_a_token_is_kept_until_shortly_before_it_expires() -> None:
    clock = Clock()
    assert clock.tokens.kept() is None
    for at, expected in ((1000.0, "token-1"), (1539.0, "token-1"), (1541.0, "token-2"), (1542.0, "token-2")):
        clock.now = at
        assert clock.tokens.get() == clock.tokens.kept() == expected


@pytest.mark.parametrize("kind", [TokenAway, TokenRefused])
def test_a_token_is_used_on_while_its_replacement_fails_and_the_endpoint_is_not_asked_all_the_time(
    kind: type[TokenAway | TokenRefused],
) -> None:
    clock = Clock()
    assert clock.tokens.get() == "token-1"
    clock.now, clock.error = 1550.0, kind("gone")
    assert [clock.tokens.get() for _ in range(5)] == ["token-1"] * 5
    assert clock.requests == 2
    clock.now = 1601.0
    for _ in range(5):
        with pytest.raises(kind, match="gone"):
            clock.tokens.get()
    assert clock.requests == 3
    clock.now, clock.error = 1603.0, None
    assert clock.tokens.get() == "token-4"


async def test_aiokafka_gets_tokens_from_another_thread_and_takes_an_error_for_an_unreachable_broker() -> None:
    threads: list[int] = []

    def request() -> Token:
        threads.append(threading.get_ident())
        if len(threads) > 1:
            raise TokenAway("gone")
        return Token("t", 1e-9)

    provider = AiokafkaTokens(Tokens(request))
    assert await provider.token() == "t"
    assert threads != [threading.get_ident()]
    with pytest.raises(AiokafkaConnectionError, match="gone"):
        await provider.token()
    clock = Clock()
    clock.error = TokenRefused("no")
    with pytest.raises(KafkaConnectionError, match="no"):
        KafkaPythonTokens(clock.tokens).token()


def test_every_client_gets_tokens_of_one_cache() -> None:
    with TokenEndpoint(lambda: issued("t")) as endpoint:
        settings = bearer(endpoint.url, security_protocol="SASL_PLAINTEXT")
        for _ in range(2):
            config = client_config(settings)
            assert config["sasl_oauth_token_provider"].token() == "t"
        for config in (connection(settings), aiokafka_config(settings), client_config(settings)):
            assert config["sasl_mechanism"] == "OAUTHBEARER"
            assert "sasl_plain_password" not in config
        assert isinstance(connection(settings)["sasl_oauth_token_provider"], AiokafkaTokens)
        for protocol in ("SASL_PLAINTEXT", "SASL_SSL"):
            credentials: Any = faust_credentials(bearer(endpoint.url, security_protocol=protocol))
            assert (credentials.mechanism.value, credentials.protocol.value) == ("OAUTHBEARER", protocol)
            assert isinstance(credentials.oauth_cb, AiokafkaTokens)
        assert len(endpoint.asked) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"oauth_client_secret": None}, "sasl_mechanism: OAUTHBEARER requires oauth_client_secret. Set what is missing."),
        ({"sasl_password": "x"}, "sasl_mechanism: OAUTHBEARER does not use sasl_password. Remove what is not used."),
        (
            {"sasl_mechanism": "PLAIN", "sasl_username": "u", "sasl_password": "p"},
            "sasl_mechanism: PLAIN does not use oauth_token_url, oauth_client_id, oauth_client_secret.",
        ),
        ({"security_protocol": "SSL"}, "SSL does not use sasl_mechanism, oauth_token_url, oauth_client_id, oauth_client_secret"),
        ({"oauth_token_url": "http://login.example/token"}, "the secret would be sent in plain text"),
        ({"oauth_token_url": "https://login.example:port/"}, "this is no URL"),
        ({"oauth_token_url": "https://[::1/"}, "this is no URL"),
        ({"oauth_token_url": "https://login.example/a b"}, "this is no URL"),
        ({"oauth_token_url": "file:///etc/passwd"}, "the secret would be sent in plain text, or nowhere"),
        ({"oauth_token_url": "https://ann:word@login.example/token"}, "the login belongs in oauth_client_id"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        bearer(**changes)
    assert message in str(caught.value)


@pytest.fixture
def _as_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (BEARER | LOGIN).items():
        monkeypatch.setenv(f"OUZEL_{name.upper()}", value)


@pytest.mark.usefixtures("_as_settings")
def test_a_wrong_secret_ends_a_command_with_2_and_an_endpoint_that_is_away_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended() -> tuple[object, str]:
        with pytest.raises(SystemExit) as caught:
            main(["topics", "check"])
        return caught.value.code, capsys.readouterr().err

    with TokenEndpoint(lambda: Answer(401)) as endpoint:
        monkeypatch.setenv("OUZEL_OAUTH_TOKEN_URL", endpoint.url)
        code, line = ended()
    assert (code, line.count("\n")) == (2, 1)
    assert line.startswith("ouzel: oauth_client_secret: http://127.0.0.1")
    monkeypatch.setenv("OUZEL_OAUTH_TOKEN_URL", f"http://127.0.0.1:{free_port()}/token")
    code, line = ended()
    assert (code, line.count("\n")) == (1, 1)
    assert line.startswith("ouzel: oauth_token_url: http://127.0.0.1")
