"""What is special to Klaviyo; what every destination must do is in test_contract.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from klaviyo_api import KlaviyoAPI

from orchestration.destinations.base import Outcome
from orchestration.destinations.klaviyo import CAPABILITIES, judge
from orchestration.destinations.wire import Answer, Meaning
from orchestration.errors import ConfigError
from tests.destinations.case_klaviyo import BULK, CASE, KEY, MEDIA_TYPE, SINGLE, SPECIFICATIONS, errors, pointer_to
from tests.destinations.rows import outbox_row
from tests.destinations.running import Running, running
from tests.destinations.server import Seen, fail
from tests.destinations.specs import check_of, specification

EVENT = {
    "properties": {
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
    "time": "2026-11-01T10:00:00Z",
    "unique_id": "0" * 32,
    "metric": {"data": {"type": "metric", "attributes": {"name": "Cart abandoned"}}},
}
PROFILE = {"data": {"type": "profile", "attributes": {"email": "u0@example.com"}}}
ENTRY = {"profile": PROFILE, "events": {"data": [{"type": "event", "attributes": EVENT}]}}


def bulk_of(*entries: dict[str, Any]) -> dict[str, Any]:
    data = [{"type": "event-bulk-create", "attributes": entry} for entry in entries]
    return {"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": data}}}}


@pytest.fixture
def klaviyo(tmp_path: Path) -> Iterator[Running]:
    with running(CASE, tmp_path) as made:
        yield made


def essence(seen: Seen) -> tuple[Any, ...]:
    """What a request says: without the defaults that the vendor's package writes out, times in one spelling."""

    def plain(node: dict[str, Any]) -> dict[str, Any]:
        if node.get("backfill") is False:
            node.pop("backfill")
        if isinstance(node.get("time"), str):
            node["time"] = node["time"].replace("+00:00", "Z").replace(".000000Z", "Z")
        return node

    names = ("authorization", "content-type", "accept")
    return (
        seen.method, seen.path, [seen.headers.get(name) for name in names], json.loads(seen.body, object_hook=plain),
    )  # fmt: skip


def test_a_batch_is_what_klaviyos_own_package_sends(klaviyo: Running) -> None:
    klaviyo.send(outbox_row(0, platform_ref="Cart abandoned"))
    theirs = KlaviyoAPI(KEY, max_delay=0, max_retries=0, test_host=klaviyo.server.url)
    theirs.Events.bulk_create_events(bulk_of(ENTRY))
    ours_seen, theirs_seen = klaviyo.server.seen
    assert klaviyo.server.invalid == []
    assert essence(ours_seen) == essence(theirs_seen)
    assert ours_seen.path == BULK


def test_a_row_in_doubt_is_what_klaviyos_own_package_sends_for_one_event(klaviyo: Running) -> None:
    klaviyo.send(outbox_row(0, platform_ref="Cart abandoned", previous_status="unknown"))
    theirs = KlaviyoAPI(KEY, max_delay=0, max_retries=0, test_host=klaviyo.server.url)
    theirs.Events.create_event({"data": {"type": "event", "attributes": {**EVENT, "profile": PROFILE}}})
    ours_seen, theirs_seen = klaviyo.server.seen
    assert klaviyo.server.invalid == []
    assert essence(ours_seen) == essence(theirs_seen)
    assert ours_seen.path == SINGLE


@pytest.mark.parametrize("status", [None, "unknown"])
@pytest.mark.parametrize("is_history", [False, True])
def test_every_body_agrees_with_klaviyos_published_description(
    klaviyo: Running, status: str | None, is_history: bool
) -> None:
    ids = {"klaviyo_profile_id": "01GDDKASAP8TKDDA2GRZDSVP4H"}
    rows = [
        outbox_row(0),
        outbox_row(1, email=None, phone="+4915112345678"),
        outbox_row(2, external_ids=ids),
    ]
    made = [outbox_row(number, previous_status=status, is_history=is_history, email=row.email, phone=row.phone,
                       external_ids=row.external_ids) for number, row in enumerate(rows)]  # fmt: skip
    klaviyo.send(*made)
    for seen in klaviyo.server.seen:
        assert check_of(*SPECIFICATIONS[seen.path])(seen.json()) == []


@pytest.mark.parametrize(
    ("body", "media_type", "told"),
    [
        (bulk_of({"events": ENTRY["events"]}), MEDIA_TYPE, "profile"),
        (bulk_of({**ENTRY, "profile": {"data": {"type": "profile", "attributes": {}}}}), MEDIA_TYPE, "identifier"),
        (bulk_of({**ENTRY, "events": {"data": [{"type": "event", "attributes": {"properties": {}}}]}}), MEDIA_TYPE,
         "metric"),
        (bulk_of(ENTRY, ENTRY), MEDIA_TYPE, "repeated"),
        (bulk_of(ENTRY), "application/json", "media type"),
        ({"data": []}, MEDIA_TYPE, "data"),
    ],
)  # fmt: skip
def test_a_request_that_klaviyo_would_refuse_is_refused_here(
    klaviyo: Running, body: Any, media_type: str, told: str
) -> None:
    headers = {"authorization": f"Klaviyo-API-Key {KEY}", "revision": "2026-07-15", "content-type": media_type}
    answer = httpx.post(klaviyo.server.url + BULK, content=json.dumps(body), headers=headers)
    assert answer.status_code == 400
    assert told in answer.text


def test_a_misspelt_field_is_refused_by_the_published_description() -> None:
    misspelt = {**EVENT, "uniqueId": "x"}
    entry = {**ENTRY, "events": {"data": [{"type": "event", "attributes": misspelt}]}}
    check = check_of(*SPECIFICATIONS[BULK])
    assert check(bulk_of(ENTRY)) == []
    assert any("uniqueId" in told for told in check(bulk_of(entry)))


def test_the_rate_limits_are_the_published_ones() -> None:
    published = set()
    for scope, (path, endpoint) in {
        "bulk": (SPECIFICATIONS[BULK][0], BULK),
        "single": (SPECIFICATIONS[SINGLE][0], SINGLE),
    }.items():
        told = specification(path)["paths"][endpoint]["post"]["description"]
        burst = int(told.partition("Burst: `")[2].partition("/s`")[0])
        steady = int(told.partition("Steady: `")[2].partition("/m`")[0])
        published |= {(burst, 1, scope), (steady, 60, scope)}
    assert {(limit.requests, limit.seconds, limit.scope) for limit in CAPABILITIES.rate_limits} == published


def test_items_that_a_refusal_points_at_are_rejected_with_their_own_words_in_two_requests(klaviyo: Running) -> None:
    rows = [outbox_row(number) for number in range(100)]
    klaviyo.server.poison = {"u17": "Invalid email address", "u80": "This profile is suppressed"}
    results = klaviyo.send(*rows)
    assert {user: result.answer for user, result in results.items() if result.outcome is Outcome.REJECTED} == (
        klaviyo.server.poison
    )
    assert sum(result.outcome is Outcome.DELIVERED for result in results.values()) == 98
    assert len(klaviyo.server.seen) == 2


def test_a_refusal_too_long_to_keep_is_still_settled_row_by_row(klaviyo: Running) -> None:
    rows = [outbox_row(number) for number in range(64)]
    klaviyo.server.poison = {f"u{number}": "x" * 300 for number in range(0, 64, 6)}
    results = klaviyo.send(*rows)
    assert {user for user, result in results.items() if result.outcome is Outcome.REJECTED} == set(
        klaviyo.server.poison
    )
    assert sum(klaviyo.server.effects.values()) == 64 - len(klaviyo.server.poison)


def test_a_row_in_doubt_goes_alone_so_that_it_cannot_take_others_down(klaviyo: Running) -> None:
    klaviyo.send(outbox_row(0))
    klaviyo.server.seen.clear()
    in_doubt = [outbox_row(0, previous_status="claimed"), outbox_row(1, previous_status="held")]
    results = klaviyo.send(*in_doubt, outbox_row(2), outbox_row(3))
    assert {result.outcome for result in results.values()} == {Outcome.DELIVERED}
    assert sorted(seen.path for seen in klaviyo.server.seen) == [BULK, SINGLE, SINGLE]
    assert set(klaviyo.server.effects.values()) == {1}


def test_history_says_backfill_of_the_event_and_of_its_entry_and_live_events_never_do(klaviyo: Running) -> None:
    klaviyo.send(outbox_row(0, is_history=True), outbox_row(1))
    past, live = klaviyo.server.seen[0].json()["data"]["attributes"]["events-bulk-create"]["data"]
    assert past["attributes"]["backfill"] is True
    assert past["attributes"]["events"]["data"][0]["attributes"]["backfill"] is True
    assert "backfill" not in json.dumps(live)


def test_a_profile_is_named_by_one_identifier_so_that_nothing_is_written_into_it(klaviyo: Running) -> None:
    ids = {"klaviyo_profile_id": "01GD"}
    klaviyo.send(
        outbox_row(0, external_ids=ids, phone="+4915112345678"),
        outbox_row(1, phone="+4915112345678"),
        outbox_row(2, email=None, phone="+4915112345678"),
    )
    data = klaviyo.server.seen[0].json()["data"]["attributes"]["events-bulk-create"]["data"]
    assert [entry["attributes"]["profile"]["data"] for entry in data] == [
        {"type": "profile", "id": "01GD", "attributes": {}},
        {"type": "profile", "attributes": {"email": "u1@example.com"}},
        {"type": "profile", "attributes": {"phone_number": "+4915112345678"}},
    ]


@pytest.mark.parametrize(
    ("changes", "told"), [({"action": "subscribe"}, "subscribe"), ({"platform_ref": "m" * 128}, "128 characters")]
)
def test_a_campaign_that_klaviyo_cannot_carry_out_is_refused_by_name_before_anything_is_sent(
    klaviyo: Running, changes: dict[str, str], told: str
) -> None:
    results = klaviyo.send(outbox_row(0, campaign="win_back", **changes), outbox_row(1))
    assert results["u0"].outcome is Outcome.REJECTED
    assert told in results["u0"].answer
    assert 'seeds/campaigns.csv, campaign "win_back"' in results["u0"].answer
    assert results["u1"].outcome is Outcome.DELIVERED
    assert len(klaviyo.server.seen) == 1


def test_a_retired_revision_stops_the_destination_and_rejects_nobody(klaviyo: Running) -> None:
    klaviyo.server.then(fail(410, json.dumps(errors(410, ("This revision was retired.", None)))))
    destination = klaviyo.create()
    (result,) = destination.send([outbox_row(0)])
    assert result.outcome is Outcome.FAILED
    assert "retired" in (destination.traffic.refusal or "")


def test_a_window_that_is_used_up_is_waited_out_before_the_next_request() -> None:
    headers = {"ratelimit-limit": "150", "ratelimit-remaining": "0", "ratelimit-reset": "17"}
    verdict = judge()(Answer(202, "", headers))
    assert (verdict.meaning, verdict.wait) == (Meaning.TAKEN, 17)
    assert judge()(Answer(202, "", {**headers, "ratelimit-remaining": "3"})).wait is None


def test_pointers_past_the_batch_blame_nobody(klaviyo: Running) -> None:
    klaviyo.server.then(fail(400, json.dumps(errors(400, ("not ours", pointer_to(99))))))
    results = klaviyo.send(outbox_row(0), outbox_row(1))
    assert {result.outcome for result in results.values()} == {Outcome.DELIVERED}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRIPLINE_KLAVIYO_API_KEY", ""),
        ("TRIPLINE_KLAVIYO_API_KEY", "pk_with\nbreak"),
        ("TRIPLINE_KLAVIYO_BASE_URL", "a.klaviyo.com"),
        ("TRIPLINE_KLAVIYO_REVISION", "latest"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path, variable: str, value: str) -> None:
    with running(CASE, tmp_path, **{variable: value}) as klaviyo:
        with pytest.raises(ConfigError, match=variable) as raised:
            klaviyo.create()
        assert "pk_" not in str(raised.value)
