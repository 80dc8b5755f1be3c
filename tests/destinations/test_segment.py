"""What is special to Segment-compatible servers; what every destination must do is in test_contract.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from segment.analytics.client import Client

from orchestration.destinations.base import CrashPolicy, Outcome
from orchestration.destinations.registry import Registry
from orchestration.destinations.segment import CAPABILITIES, judge
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.wire import Answer, Meaning
from orchestration.errors import ConfigError
from orchestration.load import load_batch
from orchestration.settings import Settings, get_settings
from orchestration.warehouse import connect
from tests.destinations.case_segment import BASIC, CASE, KEY
from tests.destinations.rows import outbox_row
from tests.destinations.running import Running, running
from tests.destinations.server import Seen

CALL = {"type": "track", "messageId": "m", "userId": "u", "event": "e", "timestamp": "2026-11-01T10:00:00Z"}


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Running]:
    with running(CASE, tmp_path) as made:
        yield made


def essence(seen: Seen) -> tuple[Any, ...]:
    """What a request says: Segment's clients add empty fields, their own name, a clock, and the key once more."""
    (call,) = seen.json()["batch"]
    call["context"].pop("library")
    call["timestamp"] = datetime.fromisoformat(call["timestamp"])
    said = {name: value for name, value in call.items() if value not in (None, {})}
    return seen.method, seen.path, seen.headers["authorization"], seen.headers["content-type"], said


def test_a_call_is_what_segments_own_client_sends(segment: Running) -> None:
    segment.send(outbox_row(0, platform_ref="Cart Abandoned", phone="+4915112345678"))
    theirs = Client(KEY, host=segment.server.url, sync_mode=True)
    theirs.track(
        user_id="u0",
        event="Cart Abandoned",
        properties={
            "observed_value": 86400.0,
            "threshold_value": 86400.0,
            "window_started_at": "2026-10-31T10:00:00.000000Z",
            "product_id": "sku-1",
            "category": "shoes",
            "products": [{"product_id": "sku-1", "category": "shoes"}],
            "trigger": "cart_abandoned",
            "campaign": "come_back",
            "variant": "control",
            "matched_at": "2026-11-01T10:00:00.000000Z",
            "decided_at": "2026-11-01T10:01:00.000000Z",
        },
        context={"traits": {"email": "u0@example.com", "phone": "+4915112345678"}},
        timestamp=datetime(2026, 11, 1, 10, tzinfo=UTC),
        message_id="0" * 32,
    )
    ours_seen, theirs_seen = segment.server.seen
    assert segment.server.invalid == []
    assert essence(ours_seen) == essence(theirs_seen)
    assert set(ours_seen.json()["batch"][0]) <= set(theirs_seen.json()["batch"][0])


def test_what_is_sent_is_read_back_as_the_same_events(segment: Running, tmp_path: Path) -> None:
    rows = [outbox_row(number, platform_ref="Cart Abandoned") for number in range(3)]
    segment.send(*rows)
    settings = Settings(home=tmp_path / "receiver", settle_seconds=0)
    settings.landing_path.mkdir(parents=True)
    calls = segment.server.seen[0].json()["batch"]
    (settings.landing_path / "calls.jsonl").write_text("".join(json.dumps(call) + "\n" for call in calls))
    with connect(settings.warehouse_path) as connection:
        assert load_batch(connection, settings, clock=datetime(2030, 1, 1)).events_loaded == 3
        read = connection.sql(
            "select event_id, known_user_id, event_name, occurred_at, product_id from raw.events order by event_id"
        ).fetchall()
    assert read == [(row.idempotency_key, row.user_id, "cart_abandoned", row.matched_at, "sku-1") for row in rows]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ({**CALL, "userId": ""}, "userId"),
        ({**CALL, "messageId": "m" * 100}, "messageId"),
        ({**CALL, "event": None}, "event"),
        ({**CALL, "type": "tracked"}, "type"),
        ({**CALL, "timestamp": "2026-11-01T10:00:00"}, "zone"),
        ({**CALL, "properties": {"text": "x" * 32 * 1024}}, "32 KB"),
    ],
)
def test_a_request_that_segment_would_not_take_is_refused_here(
    segment: Running, call: dict[str, Any], told: str
) -> None:
    headers = {"authorization": f"Basic {BASIC}"}
    answer = httpx.post(f"{segment.server.url}/v1/batch", json={"batch": [call]}, headers=headers)
    assert answer.status_code == 400
    assert told in answer.text


def test_the_write_key_is_in_the_header_alone(segment: Running) -> None:
    destination = segment.create()
    assert KEY not in repr(destination.prepare([outbox_row(0)]))
    destination.send([outbox_row(0)])
    assert KEY not in segment.server.seen[0].body.decode()


def test_a_call_that_is_too_large_is_rejected_alone_before_anything_is_sent(segment: Running) -> None:
    rows = [outbox_row(number) for number in range(20)]
    rows[7] = outbox_row(7, properties={"text": "x" * 32 * 1024})
    results = segment.send(*rows)
    assert results["u7"].outcome is Outcome.REJECTED
    assert "32768" in results["u7"].answer
    assert sum(result.outcome is Outcome.DELIVERED for result in results.values()) == 19
    assert segment.server.invalid == []


def test_batches_stay_below_500_kilobytes(segment: Running) -> None:
    rows = [outbox_row(number, properties={"text": "ü" * 8_000}) for number in range(60)]
    results = segment.send(*rows)
    assert {result.outcome for result in results.values()} == {Outcome.DELIVERED}
    assert segment.server.invalid == []
    assert max(len(seen.body) for seen in segment.server.seen) <= 500_000
    assert len(segment.server.seen) <= 4


@pytest.mark.parametrize("name", ["retry-after", "x-ratelimit-reset"])
def test_both_headers_say_how_many_seconds_to_wait(name: str) -> None:
    verdict = judge(CAPABILITIES)(Answer(429, "", {name: "17"}))
    assert (verdict.meaning, verdict.wait) == (Meaning.LIMITED, 17)


def test_a_batch_that_the_server_says_it_did_not_take_is_not_delivered() -> None:
    assert judge(CAPABILITIES)(Answer(200, "", {}, b'{"success": false}')).meaning is Meaning.REFUSED
    assert judge(CAPABILITIES)(Answer(200, "", {}, b'{"success": true}')).meaning is Meaning.TAKEN
    assert judge(CAPABILITIES)(Answer(200, "ok", {}, b"ok")).meaning is Meaning.TAKEN


def test_with_a_server_without_memory_what_is_in_doubt_is_left_to_a_person(tmp_path: Path) -> None:
    with running(CASE, tmp_path, TRIPLINE_SEGMENT_DEDUPLICATES="false"):
        settings = get_settings()
        capabilities = Registry(settings=settings).capabilities("segment")
        policies = Registry(settings=settings).crash_policies(PushSettings())
    assert not capabilities.deduplicates
    assert policies["segment"] is CrashPolicy.HOLD
    assert "twice" in capabilities.promises[CrashPolicy.RESEND]


def test_a_campaign_that_is_no_track_call_is_refused_by_name_before_anything_is_sent(segment: Running) -> None:
    results = segment.send(outbox_row(0, action="identify"), outbox_row(1))
    assert results["u0"].outcome is Outcome.REJECTED
    assert 'seeds/campaigns.csv, campaign "come_back"' in results["u0"].answer
    assert results["u1"].outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TRIPLINE_SEGMENT_WRITE_KEY", ""), ("TRIPLINE_SEGMENT_BASE_URL", "ftp://x"), ("TRIPLINE_SEGMENT_BASE_URL", "")],
)
def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path, variable: str, value: str) -> None:
    with running(CASE, tmp_path, **{variable: value}) as segment, pytest.raises(ConfigError, match=variable):
        segment.create()
