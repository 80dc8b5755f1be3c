"""What is special to Iterable; what every destination must do is in test_contract.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration.destinations.base import CrashPolicy, OutboxRow, Outcome
from orchestration.destinations.iterable import CAPABILITIES, EVENT, configured, judge
from orchestration.destinations.registry import Registry
from orchestration.destinations.wire import Answer, Meaning
from orchestration.errors import ConfigError
from orchestration.settings import get_settings
from tests.destinations.case_iterable import BULK, CASE, KEY, SPECIFICATION, TRIGGER, Iterable, envelope
from tests.destinations.rows import outbox_row
from tests.destinations.running import Running, running
from tests.destinations.server import Reply, Seen, fail, silence
from tests.destinations.specs import check_of, specification

TAKEN = {"successCount": 3, "failCount": 0, "disallowedEventNames": []}


@pytest.fixture
def iterable(tmp_path: Path) -> Iterator[Running]:
    with running(CASE, tmp_path) as made:
        yield made


@pytest.fixture
def journeys(tmp_path: Path) -> Iterator[Running]:
    with running(CASE, tmp_path, TRIPLINE_ITERABLE_JOURNEYS="true") as made:
        yield made


def journey_row(number: int, **changes: Any) -> OutboxRow:
    return outbox_row(number, **{"action": "workflow", "platform_ref": "4711", **changes})


def answering(home: Path, answer: dict[str, Any]) -> Any:
    """Iterable, with one answer for every batch."""
    assert check_of(SPECIFICATION, "BulkTrackResponse")(answer) == [], "Iterable describes such an answer"

    class Fixed(Iterable):
        def accept(self, seen: Seen, failures: Any) -> Reply:
            return Reply(200, answer)

    return running(replace(CASE, fake=Fixed), home)


def test_an_event_says_who_what_and_when_in_iterables_words(iterable: Running) -> None:
    iterable.send(outbox_row(0, platform_ref="Cart abandoned"))
    (seen,) = iterable.server.seen
    (event,) = seen.json()["events"]
    assert seen.path == BULK
    assert event.pop("dataFields")["product_id"] == "sku-1"
    assert event == {
        "email": "u0@example.com",
        "eventName": "Cart abandoned",
        "id": "0" * 32,
        "createdAt": 1793527200,  # 2026-11-01 10:00:00 UTC
    }


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        (BULK, {"events": [{"email": "a@example.com"}]}, "eventName"),
        (BULK, {"events": [{"eventName": "x", "email": "a@example.com", "createdAt": "2026-11-01"}]}, "integer"),
        (BULK, {"events": [{"eventName": "x", "email": "a@example.com", "eventId": "k"}]}, "eventId"),
        (BULK, {"events": [{"eventName": "x"}]}, "not by both or neither"),
        (BULK, {"events": [{"eventName": "x", "userId": "u", "createdAt": 1793527200000}]}, "in seconds"),
        (TRIGGER, {"email": "a@example.com", "workflowId": "4711"}, "integer"),
        (TRIGGER, {"email": "a@example.com"}, "workflowId"),
    ],
)
def test_a_request_that_iterable_would_refuse_is_refused_here(
    iterable: Running, path: str, body: Any, told: str
) -> None:
    answer = httpx.post(iterable.server.url + path, json=body, headers={"api-key": KEY})
    assert answer.status_code == 400
    assert told in answer.text


def test_the_rate_limit_of_batches_is_the_published_one() -> None:
    told = specification(SPECIFICATION)["paths"][BULK]["post"]["description"]
    (limit,) = [limit for limit in CAPABILITIES.rate_limits if limit.scope == EVENT]
    assert f"<b>Rate limit</b>: {limit.requests} requests/second, per project" in told
    assert limit.seconds == 1


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ("forgottenEmails", "forgotten"),
        ("invalidEmails", "no e-mail address"),
        ("notFoundEmails", "knows nobody"),
    ],
)
def test_users_whom_iterable_lists_are_rejected_with_a_reason_and_the_others_are_not(
    tmp_path: Path, listed: str, reason: str
) -> None:
    answer = {"successCount": 2, "failCount": 1, "failedUpdates": {listed: ["U1@example.com"]}}
    with answering(tmp_path, answer) as iterable:
        results = iterable.send(*[outbox_row(number) for number in range(3)])
    assert results["u1"].outcome is Outcome.REJECTED
    assert reason in results["u1"].answer
    assert {results[user].outcome for user in ("u0", "u2")} == {Outcome.DELIVERED}


def test_what_is_kept_of_an_answer_names_nobody_else(tmp_path: Path) -> None:
    answer = {"successCount": 2, "failCount": 1, "failedUpdates": {"forgottenEmails": ["u1@example.com"]}}
    with answering(tmp_path, answer) as iterable:
        results = iterable.send(*[outbox_row(number) for number in range(3)])
    assert "u1@example.com" not in results["u0"].answer + results["u2"].answer
    assert "failCount 1" in results["u0"].answer


def test_user_ids_are_told_apart_by_case(tmp_path: Path) -> None:
    answer = {"successCount": 1, "failCount": 1, "failedUpdates": {"notFoundUserIds": ["ADA"]}}
    with answering(tmp_path, answer) as iterable:
        rows = [
            outbox_row(number, user_id=user, email=None, external_ids={"iterable_user_id": user})
            for number, user in enumerate(("ada", "ADA"))
        ]
        results = iterable.send(*rows)
    assert results["ada"].outcome is Outcome.DELIVERED
    assert results["ADA"].outcome is Outcome.REJECTED


def test_events_whose_name_the_project_does_not_allow_are_rejected_by_name(tmp_path: Path) -> None:
    answer = {"successCount": 2, "failCount": 1, "disallowedEventNames": ["typo"]}
    with answering(tmp_path, answer) as iterable:
        results = iterable.send(outbox_row(0), outbox_row(1, platform_ref="typo"), outbox_row(2))
    assert results["u1"].outcome is Outcome.REJECTED
    assert "does not allow events of this name" in results["u1"].answer
    assert {results[user].outcome for user in ("u0", "u2")} == {Outcome.DELIVERED}


def test_failures_that_iterable_counts_and_does_not_name_are_never_taken_for_delivered(tmp_path: Path) -> None:
    with answering(tmp_path, {"successCount": 1, "failCount": 1}) as iterable:
        together = iterable.send(outbox_row(0), outbox_row(1))
        alone = iterable.send(outbox_row(2))
    assert {result.outcome for result in together.values()} == {Outcome.FAILED}
    assert alone["u2"].outcome is Outcome.REJECTED


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (400, "BadParams", Meaning.REFUSED),
        (400, "ForgottenUserError", Meaning.REFUSED),
        (409, "ForgottenUserError", Meaning.REFUSED),
        (400, "InvalidEmailAddressError", Meaning.REFUSED),
        (400, "RequestFieldsTypesMismatched", Meaning.REFUSED),
        (404, "NotFound", Meaning.REFUSED),
        (400, "BatchTooLarge", Meaning.TOO_LARGE),
        (413, None, Meaning.TOO_LARGE),
        (401, "BadApiKey", Meaning.STOP),
        (403, "Forbidden", Meaning.STOP),
        (404, None, Meaning.STOP),
        (429, "RateLimitExceeded", Meaning.LIMITED),
        (200, "RateLimitExceeded", Meaning.LIMITED),
        (500, "DatabaseError", Meaning.LATER),
        (500, "QueueEmailError", Meaning.LATER),
    ],
)
def test_codes_decide_what_an_answer_means(status: int, code: str | None, meaning: Meaning) -> None:
    body = json.dumps(envelope(code, "words")).encode() if code else b"<html>"
    assert judge(CAPABILITIES)(Answer(status, "", {}, body)).meaning is meaning


def test_a_batch_that_iterable_calls_too_large_is_split(iterable: Running) -> None:
    iterable.server.then(fail(400, json.dumps(envelope("BatchTooLarge", "at most 2"))))
    results = iterable.send(*[outbox_row(number) for number in range(4)])
    assert {result.outcome for result in results.values()} == {Outcome.DELIVERED}
    assert [len(seen.json()["events"]) for seen in iterable.server.seen] == [4, 2, 2]


def test_a_forgotten_user_alone_in_a_request_is_rejected_with_iterables_word_for_it(iterable: Running) -> None:
    iterable.server.then(fail(400, json.dumps(envelope("ForgottenUserError", "User has been forgotten"))))
    (result,) = iterable.send(outbox_row(0)).values()
    assert result.outcome is Outcome.REJECTED
    assert "ForgottenUserError" in result.answer


def test_a_project_that_goes_by_user_id_needs_no_address(tmp_path: Path) -> None:
    with running(CASE, tmp_path, TRIPLINE_ITERABLE_IDENTIFY_BY="user_id") as iterable:
        iterable.send(outbox_row(0, external_ids={"iterable_user_id": "it-0"}), outbox_row(1, email=None))
        assert [event["userId"] for event in iterable.server.seen[0].json()["events"]] == ["it-0", "u1"]
        assert iterable.server.invalid == []
        assert Registry(settings=get_settings()).capabilities("iterable").needs == ()


def test_a_journey_is_started_for_one_user_a_request(journeys: Running) -> None:
    results = journeys.send(journey_row(0), outbox_row(1), journey_row(2), outbox_row(3))
    assert {result.outcome for result in results.values()} == {Outcome.DELIVERED}
    assert journeys.server.invalid == []
    assert sorted(seen.path for seen in journeys.server.seen) == [BULK, TRIGGER, TRIGGER]
    bodies = [seen.json() for seen in journeys.server.seen if seen.path == TRIGGER]
    assert {(body["email"], body["workflowId"]) for body in bodies} == {
        ("u0@example.com", 4711),
        ("u2@example.com", 4711),
    }
    assert all(len(body["dataFields"]["idempotency_key"]) == 32 for body in bodies)


def test_journeys_must_be_allowed_since_nothing_keeps_them_from_starting_twice(
    iterable: Running, tmp_path: Path
) -> None:
    results = iterable.send(journey_row(0, campaign="win_back"), outbox_row(1))
    assert results["u0"].outcome is Outcome.REJECTED
    assert 'seeds/campaigns.csv, campaign "win_back"' in results["u0"].answer
    assert "TRIPLINE_ITERABLE_JOURNEYS" in results["u0"].answer
    assert [seen.path for seen in iterable.server.seen] == [BULK]
    assert configured(get_settings()).crash_policy is CrashPolicy.RESEND
    with running(CASE, tmp_path, TRIPLINE_ITERABLE_JOURNEYS="true"):
        allowed = Registry(settings=get_settings()).capabilities("iterable")
    assert (allowed.crash_policy, allowed.deduplicates) == (CrashPolicy.HOLD, False)
    assert "twice" in allowed.promises[CrashPolicy.RESEND]


def test_a_journey_whose_start_was_not_answered_is_in_doubt_and_tried_once(
    tmp_path: Path,
) -> None:
    settings = {"TRIPLINE_ITERABLE_JOURNEYS": "true", "TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS": "0.3"}
    with running(CASE, tmp_path, **settings) as iterable:
        iterable.server.then(silence(takes=True))
        (result,) = iterable.send(journey_row(0)).values()
    assert result.outcome is Outcome.UNKNOWN
    assert len(iterable.server.seen) == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"action": "workflow", "platform_ref": "welcome"}, "number of a journey"),
        ({"action": "workflow", "platform_ref": None}, "number of a journey"),
        ({"action": "email"}, 'no action "email"'),
    ],
)
def test_a_campaign_that_iterable_cannot_carry_out_is_refused_by_name_before_anything_is_sent(
    journeys: Running, changes: dict[str, Any], told: str
) -> None:
    results = journeys.send(outbox_row(0, **changes), outbox_row(1))
    assert results["u0"].outcome is Outcome.REJECTED
    assert told in results["u0"].answer
    assert 'seeds/campaigns.csv, campaign "come_back"' in results["u0"].answer
    assert results["u1"].outcome is Outcome.DELIVERED
    assert len(journeys.server.seen) == 1


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TRIPLINE_ITERABLE_API_KEY", ""),
        ("TRIPLINE_ITERABLE_BASE_URL", "api.eu.iterable.com"),
        ("TRIPLINE_ITERABLE_IDENTIFY_BY", "phone"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path, variable: str, value: str) -> None:
    with running(CASE, tmp_path, **{variable: value}) as iterable, pytest.raises(ConfigError, match=variable):
        iterable.create()
