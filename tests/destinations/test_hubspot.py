"""What is special to HubSpot; what every destination must do is in test_contract.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hubspot import HubSpot
from hypothesis import given
from hypothesis import strategies as st

from orchestration.destinations.base import OutboxRow, Outcome
from orchestration.destinations.hubspot import CAPABILITIES, event_uuid, text_of
from orchestration.destinations.hubspot_answers import blamed_in, failures_in, judge
from orchestration.destinations.wire import Answer, Meaning
from orchestration.errors import ConfigError
from tests.destinations.case_hubspot import (
    CONTACT,
    EVENT,
    EVENTS,
    MODELS,
    SECRET,
    UPDATE,
    UPSERT,
    HubspotApi,
    contact_row,
    email_row,
    event_row,
)
from tests.destinations.running import Running, running
from tests.destinations.server import Seen, fail

ROWS: Mapping[str, Callable[..., OutboxRow]] = {EVENTS: event_row, UPSERT: email_row, UPDATE: contact_row}
PACKAGE: Mapping[str, Callable[[HubSpot, Any], Any]] = {
    EVENTS: lambda client, batch: client.events.send.batch_api.send(batch),
    UPSERT: lambda client, batch: client.crm.contacts.batch_api.upsert(batch),
    UPDATE: lambda client, batch: client.crm.contacts.batch_api.update(batch),
}


@pytest.fixture
def hubspot(tmp_path: Path) -> Iterator[Running]:
    with running(EVENT, tmp_path) as made:
        yield made


@pytest.fixture
def contacts(tmp_path: Path) -> Iterator[Running]:
    """Contacts by id: the answer to a batch names those that were not written."""
    with running(CONTACT, tmp_path) as made:
        yield made


def inputs_of(seen: Seen) -> list[dict[str, Any]]:
    inputs: list[dict[str, Any]] = seen.json()["inputs"]
    return inputs


def essence(seen: Seen) -> tuple[Any, ...]:
    """What a request says, with times in one spelling."""
    inputs = inputs_of(seen)
    for one in inputs:
        if "occurredAt" in one:
            one["occurredAt"] = datetime.fromisoformat(one["occurredAt"])
    names = ("authorization", "content-type")
    return seen.method, seen.path, [seen.headers[name] for name in names], inputs


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    text = json.dumps(body) if body is not None else ""
    return Answer(status, text, {name.replace("_", "-"): value for name, value in headers.items()}, text.encode())


@pytest.mark.parametrize("path", MODELS)
def test_what_is_sent_is_what_hubspots_own_package_sends_for_the_same_call(hubspot: Running, path: str) -> None:
    row = ROWS[path]()
    hubspot.send(row)
    (ours,) = hubspot.server.seen
    fields = inputs_of(ours)[0]
    if path == EVENTS:
        fields["occurredAt"] = row.matched_at.replace(tzinfo=UTC)
    _, model, batch = MODELS[path]
    same = model(**{name: fields[vendor] for name, vendor in model.attribute_map.items() if vendor in fields})
    client = HubSpot(access_token=SECRET, host=hubspot.server.url)
    # Its model of the answer wants more than the answer; what counts is what was asked.
    hubspot.server.then(fail(204))
    PACKAGE[path](client, batch(inputs=[same]))
    theirs = hubspot.server.seen[1]
    assert essence(ours) == essence(theirs)


def test_an_event_says_who_when_what_and_all_of_it_in_texts(hubspot: Running) -> None:
    products = [{"product_id": f"sku-{number}", "category": "shoes"} for number in range(3)]
    hubspot.send(event_row(properties={"products": products, "observed_value": 12.5, "is_member": True}))
    assert inputs_of(hubspot.server.seen[0]) == [
        {
            "eventName": "pe4711_cart_abandoned",
            "email": "u0@example.com",
            "occurredAt": "2026-11-01T10:00:00.000Z",
            "uuid": "160cda00-b5be-52de-ad3c-154e1a409cc4",
            "properties": {
                "observed_value": "12.5",
                "threshold_value": "86400",
                "window_started_at": "2026-10-31T10:00:00.000000Z",
                "product_id": "sku-1",
                "category": "shoes",
                "products": "sku-0;sku-1;sku-2",
                "is_member": "true",
                "trigger": "cart_abandoned",
                "campaign": "come_back",
                "variant": "control",
                "matched_at": "2026-11-01T10:00:00.000000Z",
                "decided_at": "2026-11-01T10:01:00.000000Z",
            },
        }
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"eventName": None},
        {"eventName": "cart_abandoned"},
        {"properties": None},
        {"properties": {"observed_value": 12.5}},
        {"properties": {"Observed": "12.5"}},
        {"properties": {"category": "x" * 51}},
        {"properties": {f"p{number}": "" for number in range(51)}},
        {"uuid": 7},
        {"objectId": "7"},
        {"occuredAt": "2026-11-01T10:00:00Z"},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_the_platform_of_these_tests_refuses_a_wrong_event(wrong: dict[str, Any]) -> None:
    right = {
        "eventName": "pe1_x",
        "email": "a@example.com",
        "uuid": "0b0c9a86-5f5f-5d36-8d5f-5a1de4a0a0aa",
        "occurredAt": "2026-11-01T10:00:00.000Z",
        "properties": {"category": "shoes"},
    }
    changed = {name: value for name, value in {**right, **wrong}.items() if value is not None}
    assert HubspotApi().problems(_seen(EVENTS, right)) == []
    assert HubspotApi().problems(_seen(EVENTS, changed))


def test_the_platform_of_these_tests_refuses_wrong_contacts() -> None:
    right = {"id": "a@example.com", "idProperty": "email", "properties": {"tripline_trigger": "x"}}
    assert HubspotApi().problems(_seen(UPSERT, right)) == []
    assert HubspotApi().problems(_seen(UPSERT, {**right, "idProperty": "hs_object_id"}))
    assert HubspotApi().problems(_seen(UPDATE, right))
    assert HubspotApi().problems(_seen(UPSERT, right, {**right, "id": "A@example.com"}))
    assert HubspotApi().problems(_seen("/contacts/v1/contact/batch", right))


def _seen(path: str, *inputs: dict[str, Any]) -> Seen:
    body = json.dumps({"inputs": inputs}).encode()
    return Seen("POST", path, "", {"content-type": "application/json"}, body, 0.0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"action": "evnet"}, 'no action "evnet"'),
        ({"platform_ref": None}, "pe<HubID>_<name>"),
        ({"platform_ref": "cart_abandoned"}, "pe<HubID>_<name>"),
    ],
)
def test_a_campaign_that_hubspot_cannot_know_is_refused_by_name_before_anything_of_it_is_sent(
    hubspot: Running, changes: dict[str, Any], told: str
) -> None:
    results = hubspot.send(*(event_row(number) for number in range(3)), event_row(3, campaign="vip", **changes))
    assert results["u3"].outcome is Outcome.REJECTED
    assert results["u3"].http_status is None
    assert 'seeds/campaigns.csv, campaign "vip"' in results["u3"].answer
    assert told in results["u3"].answer
    assert {results[f"u{number}"].outcome for number in range(3)} == {Outcome.DELIVERED}
    assert hubspot.server.invalid == []


def test_an_event_that_hubspot_has_already_counts_as_delivered(hubspot: Running) -> None:
    row = event_row()
    told = {"status": "error", "category": "CONFLICT", "message": f"an event with uuid {event_uuid(row)} exists"}
    hubspot.server.then(fail(409, json.dumps(told)))
    assert hubspot.send(row)["u0"].outcome is Outcome.DELIVERED


@pytest.mark.parametrize("make", [event_row, email_row])
def test_a_conflict_over_something_else_is_a_refusal_with_its_reason(
    hubspot: Running, make: Callable[..., OutboxRow]
) -> None:
    hubspot.server.then(fail(409, json.dumps({"category": "CONFLICT", "message": "the cat owns it"})))
    result = hubspot.send(make())["u0"]
    assert (result.outcome, result.http_status) == (Outcome.REJECTED, 409)
    assert "the cat owns it" in result.answer


@pytest.mark.parametrize("status", [400, 409])
def test_one_row_that_damns_its_batch_is_found_and_the_others_arrive(hubspot: Running, status: int) -> None:
    rows = [event_row(number) for number in range(20)]

    class Damning(HubspotApi):
        def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Any:
            return replace(super().refuse(seen, failures), status=status)

    hubspot.server.fake = Damning()
    hubspot.server.poison = {"u7": "Property values were not valid"}
    results = hubspot.send(*rows)
    assert [user for user, result in results.items() if result.outcome is not Outcome.DELIVERED] == ["u7"]
    assert results["u7"].http_status == status
    assert "Property values were not valid" in results["u7"].answer
    assert set(hubspot.server.effects.values()) == {1}
    assert len(hubspot.server.effects) == 19


def test_a_refusal_that_names_a_contact_costs_no_search(hubspot: Running) -> None:
    rows = [email_row(number) for number in range(16)]
    error = {"message": "not an e-mail address", "context": {"objectWriteTraceId": [rows[5].idempotency_key]}}
    hubspot.server.then(fail(400, json.dumps({"category": "VALIDATION_ERROR", "errors": [error]})))
    results = hubspot.send(*rows)
    assert results["u5"].outcome is Outcome.REJECTED
    assert results["u5"].answer == "not an e-mail address"
    assert len(hubspot.server.seen) == 2
    assert len(hubspot.server.effects) == 15


def test_a_contact_that_is_not_there_is_refused_by_itself_in_one_request(contacts: Running) -> None:
    contacts.server.poison = {"u1": "no such contact", "u3": "no such contact"}
    results = contacts.send(*(contact_row(number) for number in range(5)))
    refused = {user: result for user, result in results.items() if result.outcome is Outcome.REJECTED}
    told = (207, "OBJECT_NOT_FOUND: no such contact")
    assert {user: (result.http_status, result.answer) for user, result in refused.items()} == {"u1": told, "u3": told}
    assert len(contacts.server.effects) == 3
    assert len(contacts.server.seen) == 1


def test_contacts_are_found_by_id_where_one_is_known_and_by_email_where_none_is(hubspot: Running) -> None:
    hubspot.send(email_row(1), contact_row(2))
    sent = {seen.path: inputs_of(seen)[0] for seen in hubspot.server.seen}
    assert {path: (one["id"], one.get("idProperty")) for path, one in sent.items()} == {
        UPSERT: ("u1@example.com", "email"),
        UPDATE: ("1002", None),
    }
    assert sent[UPSERT]["properties"]["tripline_trigger"] == "cart_abandoned"
    assert hubspot.server.invalid == []


def test_a_contact_that_fires_twice_is_written_twice_and_the_later_firing_remains(hubspot: Running) -> None:
    rows = [email_row(number, email=f"{'Same' if number else 'same'}@example.com") for number in range(3)]
    results = hubspot.send(*rows)
    assert {result.outcome for result in results.values()} == {Outcome.DELIVERED}
    assert hubspot.server.invalid == []
    traces = [one["objectWriteTraceId"] for seen in hubspot.server.seen for one in inputs_of(seen)]
    assert traces == [row.idempotency_key for row in rows]


@pytest.mark.parametrize(
    ("version", "events", "upsert"),
    [
        ("v3", EVENTS, UPSERT),
        ("2026-03", "/events/2026-03/send/batch", "/crm/objects/2026-03/contacts/batch/upsert"),
        ("2026-09", "/events/custom/2026-09/send/batch", "/crm/objects/2026-09/contacts/batch/upsert"),
    ],
)
def test_the_version_of_the_api_is_a_setting(tmp_path: Path, version: str, events: str, upsert: str) -> None:
    with running(EVENT, tmp_path, TRIPLINE_HUBSPOT_API_VERSION=version) as hubspot:
        requests = hubspot.create().prepare([event_row(), email_row()])
        assert [request.path for request in requests] == [events, upsert]


def test_a_version_that_hubspot_does_not_know_stops_everything_and_rejects_nobody(tmp_path: Path) -> None:
    with running(EVENT, tmp_path, TRIPLINE_HUBSPOT_API_VERSION="2026-03") as hubspot:
        hubspot.server.fake = _Nowhere()
        destination = hubspot.create()
        results = destination.send([event_row(number) for number in range(3)])
        assert {result.outcome for result in results} == {Outcome.FAILED}
        assert "TRIPLINE_HUBSPOT_API_VERSION" in (destination.traffic.refusal or "")
        assert len(hubspot.server.seen) == 1


class _Nowhere(HubspotApi):
    def problems(self, seen: Seen) -> list[str]:
        return ["nothing here"]

    def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Any:
        return replace(super().refuse(seen, failures), status=404, body="<html>Not found</html>")


DAILY = {"status": "error", "errorType": "RATE_LIMIT", "policyName": "DAILY", "message": "your daily limit"}
BURST = {**DAILY, "policyName": "TEN_SECONDLY_ROLLING", "message": "your ten_secondly_rolling limit"}


def test_a_burst_that_is_used_up_waits_for_its_window_to_pass() -> None:
    verdict = judge(CAPABILITIES, None)(answer(429, BURST))
    assert (verdict.meaning, verdict.wait) == (Meaning.LIMITED, 10.0)
    header = {"x_hubspot_ratelimit_interval_milliseconds": "4000"}
    assert judge(CAPABILITIES, None)(answer(429, BURST, **header)).wait == 4.0
    assert judge(CAPABILITIES, None)(answer(429, {**BURST, "policyName": "SECONDLY"})).wait == 1.0
    assert judge(CAPABILITIES, None)(answer(429, BURST, retry_after="3")).wait == 3.0
    assert judge(CAPABILITIES, None)(Answer(429, "<html>")).wait == 10.0


def test_a_day_that_is_used_up_waits_for_the_portals_midnight() -> None:
    assert judge(CAPABILITIES, None)(answer(429, DAILY)).wait == 3_600
    zone = ZoneInfo("America/New_York")
    before = datetime.now(zone)
    wait = judge(CAPABILITIES, zone)(answer(429, DAILY)).wait or 0.0
    end = datetime.fromtimestamp(before.timestamp() + wait + 1, zone)
    assert end.date() > before.date()
    assert (end.hour, end.minute) == (0, 0)
    assert 0 < wait <= 25 * 3_600


def test_a_day_that_is_used_up_leaves_the_rows_for_later_with_the_reason(hubspot: Running) -> None:
    hubspot.server.then(fail(429, json.dumps(DAILY)))
    results = hubspot.send(*(email_row(number) for number in range(3)))
    assert {result.outcome for result in results.values()} == {Outcome.FAILED}
    assert {round(result.retry_after or 0, -2) for result in results.values()} == {3_600}
    assert "your daily limit" in results["u0"].answer
    assert len(hubspot.server.seen) == 1


def test_events_are_not_held_up_by_a_limit_that_they_are_exempt_from(hubspot: Running) -> None:
    class Spent(HubspotApi):
        def problems(self, seen: Seen) -> list[str]:
            return [] if seen.path == EVENTS else ["the day is used up"]

        def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Any:
            return replace(super().refuse(seen, failures), status=429, body=DAILY)

    hubspot.server.fake = Spent()
    results = hubspot.send(email_row(0), event_row(1))
    assert {user: str(result.outcome) for user, result in results.items()} == {"u0": "failed", "u1": "delivered"}


@pytest.mark.parametrize(("status", "meaning"), [(423, Meaning.LATER), (477, Meaning.LATER), (504, Meaning.LATER)])
def test_a_locked_or_moving_portal_is_tried_again(status: int, meaning: Meaning) -> None:
    assert judge(CAPABILITIES, None)(answer(status)).meaning is meaning


def test_an_error_without_a_name_is_never_taken_for_success() -> None:
    error = {"category": "VALIDATION_ERROR", "message": "something"}
    traces, ids = ["t0", "t1", "t2"], ["1", "2", "3"]
    confirmed = [{"objectWriteTraceId": "t0"}, {"objectWriteTraceId": "t2"}]
    known = failures_in(answer(207, {"results": confirmed, "errors": [error]}), traces, ids)
    assert {index: failure.outcome for index, failure in known.items()} == {1: Outcome.REJECTED}
    unknown = failures_in(answer(207, {"results": confirmed[:1], "errors": [error]}), traces, ids)
    assert {index: failure.outcome for index, failure in unknown.items()} == {1: Outcome.FAILED, 2: Outcome.FAILED}


def test_an_error_of_a_kind_that_is_not_documented_is_tried_again() -> None:
    error = {"category": "INTERNAL_ERROR", "message": "oops", "context": {"ids": ["2"]}}
    failures = failures_in(answer(207, {"results": [], "errors": [error]}), ["t0", "t1"], ["1", "2"])
    assert {index: failure.outcome for index, failure in failures.items()} == {1: Outcome.FAILED}


def test_a_refusal_that_names_every_row_is_hardly_the_rows_fault() -> None:
    error = {"message": "no", "context": {"objectWriteTraceId": ["t0", "t1"]}}
    assert blamed_in(json.dumps(error), ["t0", "t1"]) == {}
    assert blamed_in("<html>", ["t0"]) == {}


def test_the_uuid_of_a_row_never_changes_or_hubspot_would_take_old_events_for_new() -> None:
    assert event_uuid(event_row(7)) == "9f8b4f1b-848c-5cef-814f-acc3687e661b"


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists), st.integers(1, 60))
def test_whatever_a_property_holds_is_sent_as_a_text_that_fits(value: Any, most: int) -> None:
    text = text_of(value, most)
    assert isinstance(text, str)
    assert len(text) <= most


def test_a_list_that_does_not_fit_loses_whole_entries(hubspot: Running) -> None:
    products = [{"product_id": f"sku-{number:05d}"} for number in range(20)]
    hubspot.send(event_row(properties={"products": products}))
    (sent,) = inputs_of(hubspot.server.seen[0])
    assert sent["properties"]["products"] == "sku-00000;sku-00001;sku-00002;sku-00003;sku-00004"
    assert hubspot.server.invalid == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TRIPLINE_HUBSPOT_TOKEN", ""),
        ("TRIPLINE_HUBSPOT_TOKEN", "canary\nline"),
        ("TRIPLINE_HUBSPOT_API_VERSION", "canary"),
        ("TRIPLINE_HUBSPOT_TIME_ZONE", "Canary/Island"),
        ("TRIPLINE_HUBSPOT_BASE_URL", "https://u:canary@api.hubapi.com"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named_without_its_value(tmp_path: Path, name: str, value: str) -> None:
    with running(EVENT, tmp_path, **{name: value}) as hubspot, pytest.raises(ConfigError, match=name) as error:
        hubspot.create()
    assert "canary" not in str(error.value).lower()
