"""What a running collector does with what it took: nobody waits for a minute who crossed a threshold, nothing else
starts a batch, and nothing but the warehouse fires."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.dbt import build
from orchestration.settings import Settings
from orchestration.sources.collected import COLLECTED, CROSSING_MARK, seconds_until_wanted
from orchestration.validation.recent import read_event
from orchestration.validation.redis_events import RedisRecentEvents
from tests.collector.conftest import Running, load_all, rows
from tests.validation.conftest import Listen, RedisServer
from tests.validation.reading import READ_KEY, counts, evaluate, state


def view(number: int, user: str = "ada", **fields: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "event": "Product Viewed",
        "messageId": f"{user}-{number}",
        "userId": user,
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"product_id": f"p{number}", "category": "tea"},
        **fields,
    }


def send(collector: Running, *events: dict[str, Any]) -> None:
    assert collector.post("/v1/batch", {"batch": list(events)}).json()["accepted"] == len(events)


def wait_for(said: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not said():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def slices(settings: Settings) -> list[Path]:
    return sorted((settings.landing_path / COLLECTED).rglob("*.jsonl"))


def is_wanted(settings: Settings) -> bool:
    """As the sensor asks: a batch of what lies there has no time."""
    found = slices(settings)
    return bool(found) and seconds_until_wanted(settings.landing_path, found, 3_600) == 0


def test_a_crossing_wants_a_batch_of_the_very_events_at_once(listen: Listen, with_rules: Settings) -> None:
    collector = listen(TRIPLINE_COLLECTOR_SLICE_SECONDS="300")  # nothing but the crossing puts them into place
    send(collector, view(1), view(2))
    assert wait_for(lambda: counts(collector)["looks"] > 0) and not slices(with_rules)
    send(collector, view(3))
    assert wait_for(lambda: is_wanted(with_rules))
    (one,) = slices(with_rules)
    assert [json.loads(line)["messageId"] for line in one.read_text().splitlines()] == ["ada-1", "ada-2", "ada-3"]


def test_a_burst_of_repeated_or_scattered_events_wants_none(listen: Listen, with_rules: Settings) -> None:
    collector = listen()
    first = [view(1), view(2), view(3)]
    send(collector, *first)
    assert wait_for(lambda: counts(collector)["batches_asked"] == 1)
    for _ in range(5):
        send(collector, *first)  # a client that sends again
        send(collector, *(view(0, user=f"u{number}") for number in range(100)))  # many users, nobody crosses
        send(collector, view(3, messageId=f"ada-again-{time.monotonic_ns()}"))  # over the threshold already
        time.sleep(0.2)
    noted = 3 + 5 * 104
    assert wait_for(lambda: counts(collector)["noted"] == noted)
    looks = counts(collector)["looks"]
    send(collector, view(9, user="the last one"))
    assert wait_for(lambda: counts(collector)["looks"] > looks)
    found = counts(collector)
    assert found["batches_asked"] == 1 and found["crossings"] == 1
    assert found["copies"] == 15


def test_an_event_that_was_acknowledged_is_in_the_next_answer(listen: Listen) -> None:
    collector = listen()
    for number in range(1, 4):
        send(collector, view(number))
        answer = evaluate(collector, {"userId": "ada"})
        assert answer["events"]["used"] == number
        assert state(answer, "related_product_views")["is_flagged"] == (number == 3)


def test_a_site_that_asks_for_a_batch_gets_one_where_a_threshold_is_crossed(
    listen: Listen, with_rules: Settings
) -> None:
    collector = listen(TRIPLINE_COLLECTOR_SLICE_SECONDS="300")
    send(collector, view(1), view(2))
    asked = {"userId": "ada", "askForBatch": True}
    assert evaluate(collector, asked)["has_asked_for_batch"] is False
    assert not (with_rules.landing_path / CROSSING_MARK).exists()
    send(collector, view(3))
    assert evaluate(collector, asked)["has_asked_for_batch"] is True
    assert is_wanted(with_rules)


def test_redis_that_lies_or_dies_fires_nothing_and_stops_nothing(
    listen: Listen, with_rules: Settings, redis_server: RedisServer
) -> None:
    collector = listen(TRIPLINE_REDIS_URL=redis_server.url)
    store = RedisRecentEvents(redis_server.url, 86_400)
    lies = [read_event(json.dumps(view(number, user="framed")).encode(), time.time()) for number in (1, 2)]
    store.add([lie for lie in lies if lie])
    send(collector, view(3, user="framed"))  # the third view, if the first two had been
    assert wait_for(lambda: counts(collector)["batches_asked"] == 1), "the lies were not even believed"

    send(collector, view(1, user="honest"))
    assert wait_for(lambda: len(store.of("honest")) == 1)
    redis_server.stop()
    send(collector, view(2, user="honest"), view(3, user="honest"))
    assert wait_for(lambda: counts(collector)["store_failures"] > 0)
    answer = collector.post("/v1/evaluate", {"userId": "honest"}, key=READ_KEY)
    assert answer.status_code == 503 and "retry-after" in answer.headers
    redis_server.start()  # empty: all that was held is lost
    collector.stop()

    report = load_all(with_rules)
    assert report.events_read == report.events_loaded == 4
    build(with_rules)
    fired = rows(with_rules, "select user_id, trigger_name, decision from triggers.trigger_decisions")
    assert fired == [("honest", "related_product_views", "fired")]
