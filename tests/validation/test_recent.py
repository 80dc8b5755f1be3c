"""What is held of users: the same promises for both stores, and nobody waits for a Redis that does not answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.validation import recent
from orchestration.validation.recent import (
    EmbeddedRecentEvents,
    RecentEvent,
    RecentEvents,
    RecentEventsDown,
    gather,
    read_event,
)
from orchestration.validation.redis_events import FAILURES, LIMIT_SECONDS, PREFIX, RedisRecentEvents
from tests.validation.conftest import RedisServer

WINDOW = 3_600.0


@pytest.fixture(params=["embedded", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[RecentEvents]:
    if request.param == "embedded":
        yield EmbeddedRecentEvents(WINDOW, 10_000_000)
        return
    held = RedisRecentEvents(request.getfixturevalue("redis_server").url, WINDOW)
    yield held
    held.close()


def event(number: int, ago: float = 0.0, **fields: Any) -> RecentEvent:
    fields = {"messageId": f"m{number}", "userId": "u", "timestamp": "2026-11-27T00:00:00Z", **fields}
    found = read_event(json.dumps(fields).encode(), time.time() - ago)
    assert found is not None
    return found


def ids(store: RecentEvents, identity: str) -> list[str]:
    return [json.loads(one.line)["messageId"] for one in store.of(identity)]


def test_a_message_that_comes_again_is_held_once_as_it_came_first(store: RecentEvents) -> None:
    assert len(store.add([event(1), event(2)])) == 2
    again = event(1, sentAt="2026-11-27T00:00:09Z")
    assert store.add([again]) == []
    assert [json.loads(one.line) for one in store.of("u")] == [json.loads(event(n).line) for n in (1, 2)]


def test_messages_that_share_an_id_and_differ_are_all_held(store: RecentEvents) -> None:
    other = event(1, timestamp="2026-11-27T00:00:01Z")
    assert len(store.add([event(1), other, event(1, anonymousId="d")])) == 3
    assert len(store.of("u")) == 3


def test_what_is_older_than_the_longest_window_is_forgotten(store: RecentEvents) -> None:
    store.add([event(1, ago=WINDOW + 1), event(2, ago=WINDOW - 5), event(3)])
    assert ids(store, "u") == ["m2", "m3"]


def test_of_a_robot_the_latest_events_are_held(store: RecentEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (recent, __import__("orchestration.validation.redis_events", fromlist=["x"])):
        monkeypatch.setattr(module, "EVENTS_OF_A_USER", 10)
    store.add([event(number, ago=50 - number) for number in range(30)])
    assert ids(store, "u") == [f"m{number}" for number in range(20, 30)]


def test_a_device_leads_to_its_user_and_the_user_to_all_devices(store: RecentEvents) -> None:
    store.add(
        [
            event(1, userId=None, anonymousId="phone"),
            event(2, anonymousId="phone"),
            event(3, anonymousId="laptop"),
            event(4, userId=None, anonymousId="laptop"),
            event(5, userId="somebody else", anonymousId="laptop"),
            event(6, userId="stranger", anonymousId="tv"),
        ]
    )
    for asked in ("u", "anon:phone", "anon:laptop"):
        found = {json.loads(one.line)["messageId"] for one in gather(store, [asked]).values()}
        assert found == {"m1", "m2", "m3", "m4", "m5"}, asked


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.sampled_from(["u", "v", None]), st.sampled_from(["d", "e", None])), max_size=40
    )
)
def test_both_stores_hold_the_same(redis_server: RedisServer, drawn: list[tuple[int, Any, Any]]) -> None:
    redis_server.client().flushall()
    stores: list[RecentEvents] = [EmbeddedRecentEvents(WINDOW, 10_000_000), RedisRecentEvents(redis_server.url, WINDOW)]
    events = [event(n, ago=40 - place, userId=u, anonymousId=d) for place, (n, u, d) in enumerate(drawn) if u or d]
    for size in (1, 7):
        added = [[store.add(events[at : at + size]) for at in range(0, len(events), size)] for store in stores]
        assert added[0] == added[1]
    for identity in ("u", "v", "anon:d", "anon:e"):
        assert stores[0].of(identity) == stores[1].of(identity)


def test_the_embedded_store_lets_go_of_whoever_was_silent_for_longest() -> None:
    store = EmbeddedRecentEvents(WINDOW, 5_000)
    for number in range(20):
        store.add([event(number, userId=f"u{number}")])
    assert store.of("u0") == [] and len(store.of("u19")) == 1


def test_redis_forgets_users_who_never_come_back(redis_server: RedisServer) -> None:
    store = RedisRecentEvents(redis_server.url, WINDOW)
    store.add([event(1)])
    client = redis_server.client()
    keys = client.keys(f"{PREFIX}*")
    assert len(keys) == 2 and all(0 < client.ttl(key) <= WINDOW + 1 for key in keys)


def test_redis_that_is_frozen_costs_a_moment_and_then_nothing(redis_server: RedisServer) -> None:
    store = RedisRecentEvents(redis_server.url, WINDOW)
    store.add([event(1)])
    redis_server.freeze()
    started = time.monotonic()
    for _ in range(FAILURES + 20):
        with pytest.raises(RecentEventsDown):
            store.of("u")
    assert time.monotonic() - started < (FAILURES + 1) * 2 * LIMIT_SECONDS, "every call waited"
    redis_server.thaw()


def test_redis_that_is_filled_with_rubbish_gives_what_makes_sense(redis_server: RedisServer) -> None:
    store = RedisRecentEvents(redis_server.url, WINDOW)
    store.add([event(1)])
    client = redis_server.client()
    for number, text in enumerate((b"\xff\xfe", b"{", b"[]", b'{"userId": {}}')):
        client.zadd(f"{PREFIX}{{u}}:at", {f"lie{number}": time.time()})
        client.hset(f"{PREFIX}{{u}}:text", f"lie{number}", text)
    assert ids(store, "u") == ["m1"]
    client.set(f"{PREFIX}{{v}}:at", "no set at all")
    with pytest.raises(RecentEventsDown):
        store.of("v")


def test_an_address_with_a_password_is_in_no_error(redis_server: RedisServer) -> None:
    store = RedisRecentEvents("redis://:canary-password@127.0.0.1:1/0", WINDOW)
    with pytest.raises(RecentEventsDown) as down:
        store.of("u")
    assert "canary" not in f"{down.value!r} {down.value.__cause__!r}"
