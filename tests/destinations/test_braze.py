"""What is special to Braze."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration.destinations.base import CrashPolicy, Destination, OutboxRow, Outcome, SendResult
from orchestration.destinations.braze import CAPABILITIES, BrazeDestination, BrazeSettings, judge
from orchestration.destinations.registry import Registry
from orchestration.destinations.wire import Answer, Meaning
from orchestration.errors import ConfigError
from orchestration.settings import get_settings
from tests.destinations.case_braze import CASE, Braze
from tests.destinations.rows import outbox_row
from tests.destinations.running import running
from tests.destinations.server import Reply, ScriptedServer, Seen, fail


def with_id(number: int, **changes: object) -> OutboxRow:
    return outbox_row(number, **{"external_ids": {"braze_external_id": f"u{number}"}, **changes})


def campaign(number: int, **changes: object) -> OutboxRow:
    return with_id(number, **{"action": "campaign", "platform_ref": "c-1", **changes})


@pytest.fixture
def work(tmp_path: Path) -> Iterator[tuple[ScriptedServer, Destination]]:
    with running(CASE, tmp_path) as braze:
        yield braze.server, braze.create()


def in_order(rows: list[OutboxRow], results: list[SendResult]) -> list[SendResult]:
    found = {result.row.idempotency_key: result for result in results}
    assert len(found) == len(results) == len(rows), "one result a row"
    return [found[row.idempotency_key] for row in rows]


def test_an_event_says_who_what_and_when(work: tuple[ScriptedServer, Destination]) -> None:
    server, braze = work
    rows = [with_id(0), outbox_row(1), outbox_row(2, email=None, phone="+4912345"), with_id(3, platform_ref="cart")]
    assert {result.outcome for result in braze.send(rows)} == {Outcome.DELIVERED}
    assert server.invalid == []
    (seen,) = server.seen
    events = seen.json()["events"]
    assert [next(iter(event.items())) for event in events] == [
        ("external_id", "u0"),
        ("email", "u1@example.com"),
        ("phone", "+4912345"),
        ("external_id", "u3"),
    ]
    assert [event["name"] for event in events] == ["come_back", "come_back", "come_back", "cart"]
    assert events[0]["time"] == "2026-11-01T10:00:00.000Z"
    properties = events[0]["properties"]
    assert properties["tripline_key"] == rows[0].idempotency_key
    assert (properties["trigger"], properties["product_id"]) == ("cart_abandoned", "sku-1")


@pytest.mark.parametrize(
    ("action", "path", "id_field", "properties"),
    [
        ("campaign", "/campaigns/trigger/send", "campaign_id", "trigger_properties"),
        ("canvas", "/canvas/trigger/send", "canvas_id", "canvas_entry_properties"),
    ],
)
def test_a_campaign_or_canvas_goes_to_named_people_with_properties_of_their_own_and_never_to_a_segment(
    work: tuple[ScriptedServer, Destination], action: str, path: str, id_field: str, properties: str
) -> None:
    server, braze = work
    rows = [with_id(0, action=action, platform_ref="x-1"), outbox_row(1, action=action, platform_ref="x-1")]
    assert {result.outcome for result in braze.send(rows)} == {Outcome.DELIVERED}
    assert server.invalid == []
    (seen,) = server.seen
    body = seen.json()
    assert (seen.path, body[id_field], body["broadcast"]) == (path, "x-1", False)
    assert [user.get("external_user_id") or user["email"] for user in body["recipients"]] == ["u0", "u1@example.com"]
    assert body["recipients"][1]["prioritization"] == ["identified", "most_recently_updated"]
    assert [user[properties]["tripline_key"] for user in body["recipients"]] == [row.idempotency_key for row in rows]


def test_no_request_holds_somebody_twice_for_braze_would_keep_one(work: tuple[ScriptedServer, Destination]) -> None:
    server, braze = work
    rows = [campaign(0), campaign(1), campaign(2, external_ids={"braze_external_id": "u0"})]
    assert {result.outcome for result in braze.send(rows)} == {Outcome.DELIVERED}
    sent = sorted([user["external_user_id"] for user in seen.json()["recipients"]] for seen in server.seen)
    assert sent == [["u0"], ["u0", "u1"]]
    assert sum(server.effects.values()) == 3


def test_campaigns_and_events_never_share_a_request(work: tuple[ScriptedServer, Destination]) -> None:
    server, braze = work
    rows = [campaign(0), campaign(1, platform_ref="c-2"), with_id(2), with_id(3, action="event", platform_ref="other")]
    assert {result.outcome for result in braze.send(rows)} == {Outcome.DELIVERED}
    assert server.invalid == []
    paths = sorted((seen.path, seen.json().get("campaign_id")) for seen in server.seen)
    assert paths == [
        ("/campaigns/trigger/send", "c-1"),
        ("/campaigns/trigger/send", "c-2"),
        ("/users/track", None),
    ]


def test_more_rows_than_a_request_may_hold_are_several(work: tuple[ScriptedServer, Destination]) -> None:
    server, braze = work
    assert len(braze.send([with_id(number) for number in range(120)])) == 120
    assert server.invalid == []
    assert sorted(len(seen.json()["events"]) for seen in server.seen) == [20, 50, 50]


def test_a_phone_number_alone_reaches_events_and_waits_for_an_address_otherwise(
    work: tuple[ScriptedServer, Destination],
) -> None:
    server, braze = work
    rows = [campaign(0, external_ids={}, email=None, phone="+49"), campaign(1)]
    by_phone, by_id = in_order(rows, braze.send(rows))
    assert (by_phone.outcome, by_id.outcome) == (Outcome.FAILED, Outcome.DELIVERED)
    assert "braze_external_id or an e-mail" in by_phone.answer
    assert len(server.seen) == 1
    assert len(braze.prepare(rows)) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"action": "push"}, 'no action "push"'), ({"action": "canvas", "platform_ref": None}, "platform_ref is empty")],
)
def test_a_campaign_that_makes_no_sense_is_refused_by_name_before_anything_is_sent(
    work: tuple[ScriptedServer, Destination], changes: dict[str, str], told: str
) -> None:
    server, braze = work
    (result,) = braze.send([with_id(0, **changes)])
    assert result.outcome is Outcome.REJECTED
    assert told in result.answer
    assert 'seeds/campaigns.csv, campaign "come_back"' in result.answer
    assert not server.seen


def test_events_that_the_answer_names_are_rejected_and_the_others_delivered(
    work: tuple[ScriptedServer, Destination],
) -> None:
    server, braze = work
    server.poison = {"u1": "'time' is in the future", "u3": "no such user"}
    rows = [with_id(number) for number in range(5)]
    results = in_order(rows, braze.send(rows))
    assert [str(result.outcome) for result in results] == [
        "delivered", "rejected", "delivered", "rejected", "delivered",
    ]  # fmt: skip
    assert results[1].answer == "'time' is in the future"
    assert len(server.seen) == 1


class Says(Braze):
    """Takes everything, and answers so."""

    def __init__(self, status: int, body: object) -> None:
        self.reply = Reply(status, body)

    def accept(self, seen: Seen, failures: object) -> Reply:  # type: ignore[override]
        return self.reply


@pytest.mark.parametrize(
    ("status", "body", "outcomes"),
    [
        (202, {"message": "queued"}, ["delivered", "delivered"]),
        (201, {"message": "success", "events_processed": 1, "errors": [{"type": "bad"}]}, ["unknown", "unknown"]),
        (201, {"message": "success", "events_processed": 2, "errors": [{"type": "minor"}]}, ["delivered", "delivered"]),
        (201, {"message": "success", "events_processed": 0, "errors": [
            {"type": "bad", "input_array": "events", "index": 1}]}, ["unknown", "rejected"]),
        (201, {"message": "success", "errors": ["one was bad"]}, ["unknown", "unknown"]),
        (200, {"message": "odd"}, ["unknown", "unknown"]),
        (200, "no JSON", ["unknown", "unknown"]),
    ],
    ids=["queued", "unnamed", "minor", "too few", "unnamed without counts", "odd", "no json"],
)  # fmt: skip
def test_an_answer_is_taken_for_no_more_than_it_says(
    tmp_path: Path, status: int, body: object, outcomes: list[str]
) -> None:
    with running(replace(CASE, fake=lambda: Says(status, body)), tmp_path) as braze:
        rows = [with_id(0), with_id(1)]
        assert [str(result.outcome) for result in in_order(rows, braze.create().send(rows))] == outcomes


def test_a_fatal_error_that_names_its_events_costs_one_more_request(work: tuple[ScriptedServer, Destination]) -> None:
    server, braze = work
    body = {"message": "Valid data must be provided", "errors": [{"type": "bad", "input_array": "events", "index": 1}]}
    server.then(fail(400, json.dumps(body)))
    rows = [with_id(number) for number in range(8)]
    results = in_order(rows, braze.send(rows))
    assert [index for index, result in enumerate(results) if result.outcome is Outcome.REJECTED] == [1]
    assert len(server.seen) == 2


def test_a_gateway_that_gave_up_leaves_the_rows_in_doubt(work: tuple[ScriptedServer, Destination]) -> None:
    server, braze = work
    server.then(fail(504))
    (result,) = braze.send([with_id(0)])
    assert result.outcome is Outcome.UNKNOWN
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_key_that_is_refused_rejects_nobody(work: tuple[ScriptedServer, Destination], status: int) -> None:
    server, braze = work
    server.then(fail(status))
    assert {result.outcome for result in braze.send([with_id(0)])} == {Outcome.FAILED}
    assert {result.outcome for result in braze.send([campaign(1)])} == {Outcome.FAILED}
    assert len(server.seen) == 1
    assert braze.traffic.refusal


def test_the_window_in_the_headers_is_waited_out_when_it_is_used_up() -> None:
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(time.time()) + 30)}
    used_up, refused = judge(Answer(201, "", headers)), judge(Answer(429, "", headers))
    assert (used_up.meaning, refused.meaning) == (Meaning.TAKEN, Meaning.LIMITED)
    assert 28 < (used_up.wait or 0) <= 30
    assert 28 < (refused.wait or 0) <= 30
    assert judge(Answer(201, "", {**headers, "x-ratelimit-remaining": "7"})).wait is None
    # A clock that is behind must not make the wait none at all.
    assert judge(Answer(429, "", {"x-ratelimit-reset": "1"})).wait is None


def test_the_users_own_id_can_be_brazes(tmp_path: Path) -> None:
    variables = {"TRIPLINE_BRAZE_USER_ID_IS_EXTERNAL_ID": "true", "TRIPLINE_BRAZE_CREATE_USERS": "false"}
    with running(CASE, tmp_path, **variables) as braze:
        assert Registry(settings=get_settings()).capabilities("braze").needs == ()
        braze.send(outbox_row(0, email=None))
        assert braze.server.invalid == []
        (event,) = braze.server.seen[0].json()["events"]
        assert (event["external_id"], event["_update_existing_only"]) == ("u0", True)


@pytest.mark.parametrize("name", ["BASE_URL", "API_KEY"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    variable = f"TRIPLINE_BRAZE_{name}"
    with running(CASE, tmp_path) as braze, pytest.MonkeyPatch.context() as patch:
        patch.delenv(variable)
        with pytest.raises(ConfigError, match=variable) as caught:
            braze.create()
        assert "canary" not in str(caught.value)


def test_braze_promises_no_more_than_it_can_keep() -> None:
    assert CAPABILITIES.crash_policy is CrashPolicy.HOLD
    assert CAPABILITIES.history is None
    assert "twice" in CAPABILITIES.promises[CrashPolicy.RESEND]


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ({"broadcast": True}, "broadcast"),
        ({"recipients": []}, "recipients"),
        ({"recipients": [{"email": "a@example.com"}]}, "prioritization"),
        ({"recipients": [{"external_user_id": "a", "email": "a@b", "prioritization": []}]}, "recipients"),
        ({"campaign": "c-1"}, "campaign"),
    ],
)
def test_the_stand_in_for_braze_refuses_what_its_documentation_does(broken: dict[str, object], told: str) -> None:
    braze = BrazeDestination.__new__(BrazeDestination)
    braze.own = BrazeSettings()
    request = braze.encode([campaign(0)])

    def problems(body: object) -> list[str]:
        headers = {"content-type": "application/json"}
        return Braze().problems(Seen("POST", request.path, "", headers, json.dumps(body).encode(), 0.0))

    body = json.loads(request.body)
    assert problems(body) == []
    assert any(told in problem for problem in problems({**body, **broken}))
