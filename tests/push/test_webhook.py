"""The webhook on the wire: signature, headers, Retry-After, answers that are slow, endless or no HTTP."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from orchestration.destinations import webhook
from orchestration.destinations.base import OutboxRow, Outcome
from orchestration.destinations.wire import parse_retry_after
from orchestration.errors import ConfigError
from orchestration.settings import Settings
from tests.push.conftest import QUICK, SECRET

NOW = datetime(2026, 11, 1, 12, 0, 0, tzinfo=UTC)


def row(number: int = 0, **payload: object) -> OutboxRow:
    return OutboxRow(
        idempotency_key=f"key{number}",
        decision_id=f"decision{number}",
        destination="webhook",
        campaign="come_back",
        trigger_name="cart_abandoned",
        user_id=f"u{number}",
        matched_at=datetime(2026, 11, 1, 10),
        decided_at=datetime(2026, 11, 1, 10, number),
        is_match_present=True,
        previous_status=None,
        attempt=1,
        payload=json.dumps({"user_id": f"u{number}", **payload}),
    )


@contextmanager
def endpoint(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads one request and then does as told; its URL."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                try:
                    talk(connection)
                except OSError:
                    return

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"
    server.close()


def send_to(url: str, monkeypatch: pytest.MonkeyPatch, rows: int = 1):
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    destination = webhook.create(Settings(webhook_url=url, webhook_secret=SecretStr(SECRET)))
    try:
        return destination.send([row(number) for number in range(rows)])
    finally:
        destination.close()


def test_the_vector_of_the_specification_is_reproduced() -> None:
    # standard-webhooks, libraries/javascript/src/webhook.test.ts (Apache-2.0)
    at = datetime.fromtimestamp(1614265330, tz=UTC)
    headers = webhook.sign(Webhook(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", '{"test": 2432232314}', at)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_the_same_firing_gives_the_same_message_whenever_it_is_sent() -> None:
    destination = webhook.create(Settings(webhook_url="http://127.0.0.1:9/hook", webhook_secret=SecretStr(SECRET)))
    (request,) = destination.prepare([row(3, campaign="come_back", note="žluťoučký 🛒")])
    assert request.headers["webhook-id"] == "key3"
    assert json.loads(request.body) == {
        "type": "trigger.fired",
        "timestamp": "2026-11-01T10:03:00Z",
        "data": {"idempotency_key": "key3", "user_id": "u3", "campaign": "come_back", "note": "žluťoučký 🛒"},
    }
    assert destination.prepare([row(3)]) == destination.prepare([row(3)])
    destination.close()


def test_the_id_of_a_batch_does_not_depend_on_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLINE_WEBHOOK_BATCH_SIZE", "5")
    destination = webhook.create(Settings(webhook_url="http://127.0.0.1:9/hook", webhook_secret=SecretStr(SECRET)))
    one, other = [row(1), row(2)], [row(2), row(1)]
    ids = [destination.prepare(rows)[0].headers["webhook-id"] for rows in (one, other, [row(1)])]
    assert ids[0] == ids[1] != ids[2]
    data = json.loads(destination.prepare(one)[0].body)["data"]
    assert [item["idempotency_key"] for item in data] == ["key1", "key2"]
    destination.close()


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Sun, 01 Nov 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Nov-26 12:00:30 GMT", 30.0),
        ("Sun, 01 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 01 Nov 2099 12:00:00 GMT", 86_400.0),
        ("99999999999999999999", 86_400.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_and_nonsense_is_nothing(header: str, seconds: float) -> None:
    assert parse_retry_after(header, NOW) == seconds


@pytest.mark.parametrize(
    ("url", "secret", "variable"),
    [
        (None, SECRET, "TRIPLINE_WEBHOOK_URL"),
        ("example.com/hook", SECRET, "TRIPLINE_WEBHOOK_URL"),
        ("ftp://example.com", SECRET, "TRIPLINE_WEBHOOK_URL"),
        ("http://:80/t0ken", SECRET, "TRIPLINE_WEBHOOK_URL"),
        ("https://example.com", None, "TRIPLINE_WEBHOOK_SECRET"),
        ("https://example.com", "", "TRIPLINE_WEBHOOK_SECRET"),
        ("https://example.com", "whsec_", "TRIPLINE_WEBHOOK_SECRET"),
        ("https://example.com", "whsec_ž", "TRIPLINE_WEBHOOK_SECRET"),
        ("https://example.com", "whsec_abcde", "TRIPLINE_WEBHOOK_SECRET"),
    ],
)
def test_a_bad_address_or_secret_is_refused_by_the_name_of_its_variable(
    url: str | None, secret: str | None, variable: str
) -> None:
    settings = Settings(webhook_url=url, webhook_secret=None if secret is None else SecretStr(secret))
    with pytest.raises(ConfigError, match=variable) as caught:
        webhook.create(settings)
    assert "t0ken" not in str(caught.value)


def test_an_answer_that_drips_for_ever_does_not_hold_up_the_push(monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.05)

    monkeypatch.setitem(QUICK, "TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS", "0.5")
    started = time.monotonic()
    with endpoint(drip) as url:
        (result,) = send_to(url, monkeypatch)
    assert result.outcome is Outcome.DELIVERED
    assert time.monotonic() - started < 3


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 422 Unprocessable\r\ncontent-length: 100000000\r\n\r\n")
        while True:
            connection.sendall(b"no\x00" * 10_000)

    with endpoint(flood) as url:
        (result,) = send_to(url, monkeypatch)
    assert (result.outcome, result.http_status, len(result.answer)) == (Outcome.REJECTED, 422, 2000)
    assert "\x00" not in result.answer


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n"])
def test_an_answer_that_is_no_http_is_unknown(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    with endpoint(lambda connection: connection.sendall(answer)) as url:
        (result,) = send_to(url, monkeypatch)
    assert result.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, Outcome.DELIVERED),
        (302, Outcome.FAILED),
        (400, Outcome.REJECTED),
        (404, Outcome.REJECTED),
        (408, Outcome.FAILED),
        (410, Outcome.FAILED),
        (425, Outcome.FAILED),
        (429, Outcome.FAILED),
        (500, Outcome.FAILED),
        (504, Outcome.FAILED),
    ],
)
def test_every_status_has_its_verdict(monkeypatch: pytest.MonkeyPatch, status: int, outcome: Outcome) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nlocation: /there\r\n\r\n".encode())

    with endpoint(answer) as url:
        (result,) = send_to(url, monkeypatch)
    assert (result.outcome, result.http_status) == (outcome, status)


@pytest.mark.parametrize(("seconds", "is_told"), [(-3600, True), (3600, True), (0, False)])
def test_a_refused_signature_is_told_as_the_clocks_fault_where_they_differ_and_rejects_nobody(
    monkeypatch: pytest.MonkeyPatch, seconds: int, is_told: bool
) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)

    def answer(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 401 X\r\ncontent-length: 0\r\ndate: {date}\r\n\r\n".encode())

    with endpoint(answer) as url:
        (result,) = send_to(url, monkeypatch)
    assert result.outcome is Outcome.FAILED
    assert ("its clock differs from this machine's" in result.answer) == is_told


def test_an_endpoint_that_never_answers_costs_a_push_no_more_than_its_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(QUICK, "TRIPLINE_PUSH_MAX_WAIT_SECONDS", "1")
    monkeypatch.setitem(QUICK, "TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS", "0.4")
    started = time.monotonic()
    with endpoint(lambda connection: time.sleep(2)) as url:
        results = send_to(url, monkeypatch, rows=50)
    assert time.monotonic() - started < 4
    assert [result.outcome for result in results].count(Outcome.UNKNOWN) <= 4
    assert results[-1].outcome is Outcome.FAILED and results[-1].answer.startswith("not sent")
