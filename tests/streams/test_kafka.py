"""A topic into raw.events: each message exactly once, whatever the brokers and the loader go through."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from orchestration.errors import ConfigError
from orchestration.settings import Settings
from orchestration.sources.declarations import read_declarations
from tests.streams.conftest import Shop, event, milliseconds
from tests.streams.mock_cluster import MockCluster

FETCH = 1
NOT_LEADER, TIMED_OUT, TOPIC_DENIED = 6, 7, 29


def test_each_batch_goes_on_where_the_last_one_ended(shop: Shop) -> None:
    for number in range(9):
        shop.produce(event(f"a{number}"), partition=number % 3)
    first = shop.load()
    assert (first.events_read, first.events_loaded) == (9, 9)
    assert shop.load().batch_id is None, "nothing new is no batch"
    shop.produce(event("b0"), event("b1"), partition=1)
    second = shop.load()
    assert (second.batch_id, second.events_loaded) == (2, 2)
    assert sorted(shop.ids) == sorted([f"a{number}" for number in range(9)] + ["b0", "b1"])
    positions = shop.rows("select partition, position from raw.stream_positions where batch_id = 2 order by 1")
    assert positions == [(f"{shop.topic}/0", "3"), (f"{shop.topic}/1", "5"), (f"{shop.topic}/2", "3")]


def test_a_batch_is_bounded_and_the_next_ones_take_the_rest(shop: Shop) -> None:
    shop.declare(max_rows=10)
    shop.produce(*(event(f"m{number}") for number in range(25)))
    sizes = [shop.load() for _ in range(4)]
    assert [report.events_read for report in sizes] == [10, 10, 5, 0]
    assert [report.partitions[0].waiting for report in sizes] == [15, 5, 0, 0]
    assert shop.ids == [f"m{number}" for number in range(25)]


def test_poison_messages_are_in_quarantine_with_topic_partition_and_offset(shop: Shop) -> None:
    shop.produce(event("m"), b"{broken", b"\xff\xfe", None, [1], {"event": "x"}, b"{}", partition=2)
    report = shop.load()
    assert (report.events_read, report.events_loaded, report.events_quarantined) == (7, 1, 6)
    assert report.quarantined == {"no_message_id": 2, "not_an_object": 1, "not_json": 3}
    found = shop.rows("select file_name, line_number, reason from raw.quarantined_events order by line_number")
    assert found[0] == (f"orders:{shop.topic}/2", 1, "not_json")
    assert [line for _, line, _ in found] == [1, 2, 3, 4, 5, 6]


def test_key_headers_and_the_brokers_time_are_kept_and_the_text_stays_as_it_was(shop: Shop) -> None:
    at = "2026-11-24T10:00:00.123"
    text = b'{"messageId": "m", "userId": 1.10, "event": "x", "properties": {"price": 1e1}} '
    shop.produce(text, key=b"ada", headers=[("trace", b"t-1"), ("n", None)], timestamp=milliseconds(at))
    shop.produce(event("own", receivedAt="2020-01-01T00:00:00Z"), timestamp=milliseconds(at))
    shop.load()
    assert shop.rows("select event_text, known_user_id, received_at from raw.events where event_id = 'm'") == [
        (text.decode(), "1.10", datetime.fromisoformat(at))
    ]
    assert shop.rows("select received_at from raw.events where event_id = 'own'") == [(datetime(2020, 1, 1),)]
    kept = shop.rows(
        "select message_key, headers, position, stream_messages.received_at from raw.stream_messages"
        " join raw.events using (file_name, line_number) where event_id = 'm'"
    )
    assert kept == [("ada", '{"trace":"t-1","n":""}', "0", datetime.fromisoformat(at))]


def test_cloudevents_are_understood_by_their_headers_and_whole(shop: Shop) -> None:
    attributes = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "Product Viewed", "userid": "ada"}
    data = {"product_id": "sku-1", "price": 79.9}
    shop.produce(data, headers={f"ce_{name}": value for name, value in attributes.items()})
    whole = {**attributes, "id": "2", "data": data, "time": "2026-11-24T10:00:00Z"}
    shop.produce(whole, headers={"content-type": "application/cloudevents+json; charset=utf-8"})
    shop.produce({"id": "3"}, headers={"ce_specversion": "1.0", "ce_id": "3"})
    report = shop.load()
    assert report.quarantined == {"not_a_cloudevent": 1}
    found = shop.rows("select event_id, event_name, known_user_id, product_id, price::double from raw.events")
    assert found == [
        ("/shop#1", "product_viewed", "ada", "sku-1", 79.9), ("/shop#2", "product_viewed", "ada", "sku-1", 79.9),
    ]  # fmt: skip


def test_brokers_that_are_down_hold_up_no_other_source_and_are_named(shop: Shop, settings: Settings) -> None:
    with MockCluster() as gone:
        brokers = gone.brokers
    shop.declare(brokers=brokers, settings={"socket.connection.setup.timeout.ms": 1000})
    (settings.landing_path / "a.jsonl").write_text(json.dumps({**event("file"), "timestamp": "2026-11-24"}) + "\n")
    report = shop.load()
    assert report.events_loaded == 1
    (note,) = report.streams_failed
    assert note.source_name == "orders" and note.retry and "orders.yml" in note.what_to_do
    shop.declare(brokers=shop.brokers)
    shop.produce(event("stream"))
    assert shop.load().events_loaded == 1


def test_leaders_that_move_and_answers_that_never_come_lose_nothing_and_copy_nothing(
    shop: Shop, cluster: MockCluster
) -> None:
    for code in (NOT_LEADER, TIMED_OUT):
        shop.produce(*(event(f"{code}-{number}") for number in range(20)), partition=code % 3)
        cluster.tell("errors", FETCH, code, 3)
        while (report := shop.load()).partitions and any(one.waiting for one in report.partitions):
            pass
    assert len(shop.ids) == len(set(shop.ids)) == 40
    assert shop.rows("select count(*) from raw.events") == [(40,)]


def test_a_broker_that_goes_down_delays_its_partitions_only(shop: Shop, cluster: MockCluster) -> None:
    shop.declare(max_seconds=3)
    for number in range(3):
        shop.produce(event(f"a{number}"), partition=number)
    shop.load()
    for number in range(3):
        shop.produce(event(f"b{number}"), partition=number)
    cluster.tell("down", 1)
    during = shop.load()
    cluster.tell("up", 1)
    while len(shop.ids) < 6:
        shop.load()
    assert during.events_loaded < 3 or not during.streams_failed
    assert sorted(shop.ids) == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_a_topic_that_may_not_be_read_is_told_and_never_counts_as_idle(shop: Shop, cluster: MockCluster) -> None:
    shop.declare(idle_seconds=0)
    shop.produce(event("m"))
    shop.load()
    cluster.tell("topic_error", shop.topic, TOPIC_DENIED)
    report = shop.load()
    assert "authorization" in report.streams_failed[0].reason.lower()
    assert report.partitions == [], "what could not be read is not taken for read to its end"


def test_a_topic_made_anew_is_told_with_its_gap_and_goes_on_only_where_a_person_said_so(
    shop: Shop, settings: Settings
) -> None:
    shop.produce(*(event(f"old{number}") for number in range(5)))
    shop.load()
    with MockCluster() as another:
        another.tell("topic", shop.topic, shop.partitions)
        shop.brokers = another.brokers
        shop.declare(brokers=another.brokers)
        shop.produce(event("new"))
        (note,) = shop.load().streams_failed
        assert "read up to offset 5, and goes on at 0" in note.reason and not note.retry
        assert "on_gap: skip" in note.what_to_do
        assert len(shop.ids) == 5, "stopped means that nothing is read"
        shop.declare(on_gap="skip")
        assert shop.load().events_loaded == 1
    gaps = shop.rows("select source_name, partition, from_position, to_position from raw.stream_gaps")
    assert gaps == [("orders", f"{shop.topic}/0", "5", "0")]
    assert shop.ids[-1] == "new"


def test_messages_that_expired_before_they_were_read_are_told_with_their_gap(shop: Shop) -> None:
    """Of a partition, the mock cluster lets go of what is older than its last 5 MB."""
    shop.produce(event("read"))
    shop.load()
    filler = "x" * 250_000
    for number in range(40):
        shop.produce(event(f"late{number}", properties={"filler": filler}))
    (note,) = shop.load().streams_failed
    assert "read up to offset 1, and goes on at" in note.reason and not note.retry
    assert shop.ids == ["read"]
    shop.declare(on_gap="skip")
    report = shop.load()
    ((gap_from, gap_to),) = shop.rows("select from_position, to_position from raw.stream_gaps")
    assert gap_from == "1" and 1 < int(gap_to) < 41
    assert shop.ids[1:] == [f"late{number}" for number in range(int(gap_to) - 1, 40)]
    assert report.events_loaded == 41 - int(gap_to)


def test_a_stream_is_complete_as_far_as_its_least_advanced_partition_unless_that_one_is_idle(shop: Shop) -> None:
    clock = datetime(2026, 11, 24, 12)
    shop.declare(idle_seconds=60)
    for number, at in enumerate(("10:00", "10:05", "10:10")):
        shop.produce(event(f"a{number}"), partition=number, timestamp=milliseconds(f"2026-11-24T{at}"))
    assert shop.load(clock=clock).sources[0].complete_through == datetime(2026, 11, 24, 10)
    shop.produce(event("b"), partition=1, timestamp=milliseconds("2026-11-24T10:30"))
    report = shop.load(clock=clock + timedelta(seconds=60))
    assert report.sources[0].complete_through == datetime(2026, 11, 24, 10), "one that may still speak holds it back"
    assert not any(one.is_idle for one in report.partitions)
    shop.produce(event("c"), partition=1, timestamp=milliseconds("2026-11-24T10:40"))
    report = shop.load(clock=clock + timedelta(seconds=61))
    assert report.sources[0].complete_through == datetime(2026, 11, 24, 10, 40)
    assert [one.is_idle for one in report.partitions] == [True, False, True]


def test_a_new_stream_may_begin_with_what_comes_from_now_on(shop: Shop) -> None:
    shop.declare(start="latest")
    shop.produce(event("before"))
    assert shop.load().events_read == 0
    shop.produce(event("after"))
    assert shop.load().events_loaded == 1
    assert shop.ids == ["after"]


@pytest.mark.parametrize(
    ("more", "line", "says"),
    [
        ({"settings": {"sasl.password": "hunter2"}}, 5, "name a variable"),
        ({"settings": {"group.id": "x"}}, 5, "loader's own"),
        ({"on_gap": "jump"}, 5, "'stop' or 'skip'"),
        ({"topics": "x"}, 5, "not permitted"),
        ({"max_rows": 0}, 5, "greater than or equal to 1"),
    ],
)
def test_a_wrong_declaration_is_told_with_its_line_and_without_its_secret(
    shop: Shop, more: dict[str, Any], line: int, says: str
) -> None:
    shop.declare(**more)
    with pytest.raises(ConfigError) as error:
        read_declarations(shop.settings.sources_path)
    assert f"orders.yml, line {line}" in str(error.value) and says in str(error.value)
    assert "hunter2" not in str(error.value)


def test_a_secret_comes_from_the_environment_and_is_never_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    sasl = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "NOPE", "sasl.username": "u"}
    shop.declare(settings={**sasl, "sasl.password": "${SHOP_PASSWORD}"})
    assert "SHOP_PASSWORD is not set" in shop.load().streams_failed[0].reason
    monkeypatch.setenv("SHOP_PASSWORD", "canary-7")
    report = shop.load()
    assert report.streams_failed and "canary-7" not in report.model_dump_json()
