"""What is special to Marketo: leads by e-mail, errors inside a 200, tokens that campaigns share, and reading back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from orchestration.destinations.base import CrashPolicy, OutboxRow, Outcome, SendResult
from orchestration.destinations.marketo import CAPABILITIES, MarketoDestination
from orchestration.destinations.marketo_session import judge_code, make_judge, seconds_to_new_quota
from orchestration.destinations.wire import Answer, Meaning
from orchestration.errors import ConfigError
from tests.destinations.case_marketo import ACTIVITIES, ACTIVITY_TYPE, CASE, Marketo, Reply, failed, known_lead
from tests.destinations.rows import outbox_row
from tests.destinations.running import Running, running
from tests.destinations.server import expired, fail, reset

NOW = datetime(2026, 7, 1, 5, 30, tzinfo=UTC)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Running]:
    with running(CASE, tmp_path, TRIPLINE_MARKETO_SETTLE_SECONDS="300") as work:
        yield work
        assert vendor(work).side_problems == []


def vendor(work: Running) -> Marketo:
    assert isinstance(work.server.fake, Marketo)
    return work.server.fake


def in_order(rows: list[OutboxRow], results: list[SendResult]) -> list[SendResult]:
    found = {result.row.idempotency_key: result for result in results}
    assert len(found) == len(results) == len(rows), "one result a row"
    return [found[row.idempotency_key] for row in rows]


def outcomes(rows: list[OutboxRow], results: list[SendResult]) -> list[str]:
    return [str(result.outcome) for result in in_order(rows, results)]


def campaign(number: int, **changes: Any) -> OutboxRow:
    return known_lead(number, **{"action": "campaign", "platform_ref": "3712", **changes})


def in_doubt(number: int, status: str = "unknown", **changes: Any) -> OutboxRow:
    return known_lead(number, previous_status=status, attempt=2, **changes)


def reads(work: Running) -> list[str]:
    return [seen.path for seen in work.server.sides if "activities.json" in seen.path]


# Activities


def test_an_activity_carries_the_key_the_moment_and_the_attributes(work: Running) -> None:
    row = known_lead(0)
    assert work.send(row)["u0"].outcome is Outcome.DELIVERED
    assert work.server.invalid == []
    (seen,) = work.server.seen
    assert seen.path == ACTIVITIES
    (activity,) = seen.json()["input"]
    assert {name: activity[name] for name in activity if name != "attributes"} == {
        "leadId": 1000,
        "activityDate": "2026-11-01T10:00:00Z",
        "activityTypeId": ACTIVITY_TYPE,
        "primaryAttributeValue": row.idempotency_key,
    }
    values = {one["apiName"]: one["value"] for one in activity["attributes"]}
    assert values["productId"] == "sku-1"
    assert (values["trigger"], values["observedValue"]) == ("cart_abandoned", 86400.0)


def test_records_that_are_skipped_are_rejected_with_the_reason_and_the_others_added(work: Running) -> None:
    work.server.poison = {"u1": "Value too long"}
    rows = [known_lead(number) for number in range(3)]
    results = in_order(rows, work.create().send(rows))
    assert [str(result.outcome) for result in results] == ["delivered", "rejected", "delivered"]
    assert results[1].answer == "1004: Value too long"


def test_attributes_that_the_activity_type_lacks_stop_everything_and_reject_nobody(work: Running) -> None:
    vendor(work).attributes = ("trigger", "campaign")
    marketo = work.create()
    (result,) = marketo.send([known_lead(0)])
    assert result.outcome is Outcome.FAILED
    assert "TRIPLINE_MARKETO_ATTRIBUTES" in (marketo.traffic.refusal or "")
    assert "category" in result.answer
    assert not work.server.seen


def test_attributes_can_be_chosen(tmp_path: Path) -> None:
    given = json.dumps({"why": "trigger", "product": "properties.product_id", "variant": "variant"})
    with running(CASE, tmp_path, TRIPLINE_MARKETO_ATTRIBUTES=given) as work:
        vendor(work).attributes = ("why", "product", "variant", "more")
        work.send(known_lead(0))
        (activity,) = work.server.seen[0].json()["input"]
    assert {one["apiName"]: one["value"] for one in activity["attributes"]} == {
        "why": "cart_abandoned",
        "product": "sku-1",
        "variant": "control",
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"action": "email"}, 'no action "email"'),
        ({"platform_ref": "Abandoned cart"}, "must be the id of a custom activity type"),
        ({"platform_ref": "77"}, "Marketo has no activity type 77"),
        ({"action": "campaign"}, "must be the id of a smart campaign"),
        ({"action": "campaign", "platform_ref": "1/../2"}, "must be the id of a smart campaign"),
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused_by_name_before_anything_is_sent(
    work: Running, changes: dict[str, str], told: str
) -> None:
    rows = [outbox_row(0, **changes), known_lead(1)]
    wrong, right = in_order(rows, work.create().send(rows))
    assert (wrong.outcome, right.outcome) == (Outcome.REJECTED, Outcome.DELIVERED)
    assert told in wrong.answer
    assert 'seeds/campaigns.csv, campaign "come_back"' in wrong.answer
    assert vendor(work).lead_calls == []
    assert len(work.server.effects) == 1


# Leads


def test_leads_are_found_or_created_by_e_mail_before_anything_is_sent(work: Running) -> None:
    rows = [outbox_row(0), outbox_row(1), known_lead(2), outbox_row(3, user_id="else", email="U1@example.com")]
    assert outcomes(rows, work.create().send(rows)) == ["delivered"] * 4
    (asked,) = vendor(work).lead_calls
    assert asked == {
        "action": "createOrUpdate",
        "lookupField": "email",
        "input": [{"email": "u0@example.com"}, {"email": "u1@example.com"}],
    }
    assert [one["leadId"] for one in vendor(work).activities] == [1000, 1001, 1002, 1001]


def test_leads_are_asked_for_300_at_a_time_and_once_a_push(work: Running) -> None:
    rows = [outbox_row(number) for number in range(310)]
    marketo = work.create()
    assert outcomes(rows, marketo.send(rows)) == ["delivered"] * 310
    marketo.send([outbox_row(0, idempotency_key="another")])
    assert [len(call["input"]) for call in vendor(work).lead_calls] == [300, 10]
    assert work.server.invalid == []


def test_two_leads_with_one_e_mail_reject_the_row_and_no_other(work: Running) -> None:
    vendor(work).twice = {"u1@example.com"}
    rows = [outbox_row(0), outbox_row(1)]
    results = in_order(rows, work.create().send(rows))
    assert [str(result.outcome) for result in results] == ["delivered", "rejected"]
    assert results[1].answer.startswith("1007: Multiple leads")


def test_leads_that_may_not_be_created_are_waited_for(tmp_path: Path) -> None:
    with running(CASE, tmp_path, TRIPLINE_MARKETO_CREATE_LEADS="false") as work:
        vendor(work).leads = {"u0@example.com": 1000}
        rows = [outbox_row(0), outbox_row(1)]
        results = in_order(rows, work.create().send(rows))
        assert [str(result.outcome) for result in results] == ["delivered", "failed"]
        assert "no lead with this e-mail" in results[1].answer
        assert vendor(work).lead_calls[0]["action"] == "updateOnly"


def test_new_leads_go_to_the_partition_that_is_named(tmp_path: Path) -> None:
    with running(CASE, tmp_path, TRIPLINE_MARKETO_PARTITION_NAME="Shop") as work:
        work.send(outbox_row(0))
        assert vendor(work).lead_calls[0]["partitionName"] == "Shop"
        assert vendor(work).side_problems == []


@pytest.mark.parametrize("action", ["activity", "campaign"])
def test_a_profiles_lead_that_is_gone_is_replaced_by_the_one_with_the_e_mail(work: Running, action: str) -> None:
    ref = {"activity": None, "campaign": "3712"}[action]
    rows = [known_lead(number, action=action, platform_ref=ref) for number in range(3)]
    vendor(work).gone = {1001}
    vendor(work).leads = {"u1@example.com": 1501}
    assert outcomes(rows, work.create().send(rows)) == ["delivered"] * 3
    assert vendor(work).lead_calls[0]["input"] == [{"email": "u1@example.com"}]
    bodies = [seen.json()["input"] for seen in work.server.seen]
    last = bodies[-1][0]["leadId"] if action == "activity" else bodies[-1]["leads"][0]["id"]
    assert last == 1501


def test_a_lead_that_is_gone_and_has_no_e_mail_is_rejected(work: Running) -> None:
    vendor(work).gone = {1001}
    result = work.send(known_lead(1, email=None))["u1"]
    assert (result.outcome, result.answer) == (Outcome.REJECTED, "1004: Lead not found")


def test_leads_that_cannot_be_asked_for_leave_the_rows_for_later_and_nothing_in_doubt(work: Running) -> None:
    vendor(work).lead_answers = [failed(611, "System error")] * 4
    rows = [outbox_row(0), known_lead(1)]
    assert outcomes(rows, work.create().send(rows)) == ["failed", "delivered"]
    vendor(work).lead_answers = [Reply(504, "the gateway gave up")]
    assert outcomes(rows[:1], work.create().send(rows[:1])) == ["failed"]


def test_a_preview_says_whose_lead_it_will_be_and_asks_nobody(work: Running) -> None:
    leads, activities = work.create().prepare([outbox_row(0), known_lead(1)])
    assert json.loads(leads.body)["input"] == [{"email": "u0@example.com"}]
    named = [one["leadId"] for one in json.loads(activities.body)["input"]]
    assert named == ["the lead of u0@example.com", 1001]
    assert work.server.seen == work.server.sides == []


# Requested campaigns


def test_leads_with_equal_tokens_share_a_request_and_others_do_not(work: Running) -> None:
    rows = [campaign(0), campaign(1, properties={"product_id": "sku-2"}), campaign(2)]
    assert outcomes(rows, work.create().send(rows)) == ["delivered"] * 3
    assert work.server.invalid == []
    sent = {}
    for seen in work.server.seen:
        assert seen.path == "/rest/v1/campaigns/3712/trigger.json"
        tokens = {token["name"]: token["value"] for token in seen.json()["input"]["tokens"]}
        sent[tokens["{{my.product_id}}"]] = [lead["id"] for lead in seen.json()["input"]["leads"]]
        assert tokens["{{my.trigger}}"] == "cart_abandoned"
    assert sent == {"sku-1": [1000, 1002], "sku-2": [1001]}


def test_a_request_names_100_leads_at_most_and_none_of_them_twice(work: Running) -> None:
    twice = campaign(700, external_ids={"marketo_lead_id": "1000"})
    rows = [*[campaign(number) for number in range(105)], twice]
    assert outcomes(rows, work.create().send(rows)) == ["delivered"] * 106
    assert work.server.invalid == []
    sent = [[lead["id"] for lead in seen.json()["input"]["leads"]] for seen in work.server.seen]
    assert sorted(len(leads) for leads in sent) == [6, 100]
    assert all(len(set(leads)) == len(leads) for leads in sent)


def test_without_tokens_all_leads_of_a_campaign_share_a_request(tmp_path: Path) -> None:
    with running(CASE, tmp_path, TRIPLINE_MARKETO_TOKENS="{}") as work:
        rows = [campaign(0), campaign(1, properties={"product_id": "sku-2"})]
        assert outcomes(rows, work.create().send(rows)) == ["delivered"] * 2
        (seen,) = work.server.seen
        assert seen.json() == {"input": {"leads": [{"id": 1000}, {"id": 1001}]}}


# Errors inside a 200


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        *[(code, Meaning.EXPIRED) for code in (601, 602)],
        *[(code, Meaning.LIMITED) for code in (606, 607, 615)],
        *[(code, Meaning.LATER) for code in (502, 604, 608, 611, 614, 713, 719, 1016, 1029)],
        *[(code, Meaning.STOP) for code in (603, 605, 610, 612, 616, 703)],
        *[(code, Meaning.REFUSED) for code in (609, 701, 702, 704, 709, 1003, 1004, 1006, 1007, 1013, 1049)],
    ],
)
def test_each_code_means_what_the_guide_says(code: int, meaning: Meaning) -> None:
    for written in (code, str(code)):
        body = {"success": False, "errors": [{"code": written, "message": "so it is"}]}
        answer = Answer(200, "", body=json.dumps(body).encode())
        assert make_judge(CAPABILITIES)(answer).meaning is meaning


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, b'{"success": true}', Meaning.TAKEN),
        (200, b'{"success": false, "errors": []}', Meaning.IN_DOUBT),
        (200, b"<html>a proxy</html>", Meaning.IN_DOUBT),
        (413, b"", Meaning.TOO_LARGE),
        (502, b"", Meaning.LATER),
        (504, b"", Meaning.IN_DOUBT),
        (401, b"", Meaning.EXPIRED),
        (404, b"", Meaning.STOP),
    ],
)
def test_what_is_no_answer_of_the_api_is_no_success(status: int, body: bytes, meaning: Meaning) -> None:
    assert make_judge(CAPABILITIES)(Answer(status, "", body=body)).meaning is meaning


def test_a_daily_quota_is_waited_for_until_it_is_new(work: Running) -> None:
    assert judge_code(607, NOW).wait == 30 * 60
    assert seconds_to_new_quota(NOW.replace(hour=6, minute=0)) == 24 * 3600
    work.server.then(fail(200, json.dumps({"success": False, "errors": [{"code": "607", "message": "Daily quota"}]})))
    results = work.create().send([known_lead(0)])
    assert results[0].outcome is Outcome.FAILED
    assert 0 < (results[0].retry_after or 0) <= 24 * 3600
    assert len(work.server.seen) == 1


def test_a_missing_permission_stops_the_push_and_rejects_nobody(work: Running) -> None:
    work.server.then(fail(200, json.dumps({"success": False, "errors": [{"code": "603", "message": "Access denied"}]})))
    marketo = work.create()
    assert outcomes([known_lead(0)], marketo.send([known_lead(0)])) == ["failed"]
    assert "Access denied" in (marketo.traffic.refusal or "")


def test_a_token_that_stays_refused_is_renewed_once_and_then_a_persons_matter(work: Running) -> None:
    work.server.then(expired(), expired())
    marketo = work.create()
    assert outcomes([known_lead(0)], marketo.send([known_lead(0)])) == ["failed"]
    assert [seen.path for seen in work.server.sides].count("/identity/oauth/token") == 2
    assert marketo.traffic.refusal


def test_the_token_is_in_the_header_and_nowhere_else(work: Running) -> None:
    work.send(outbox_row(0))
    called = [seen for seen in (*work.server.seen, *work.server.sides) if "identity" not in seen.path]
    assert len(called) == 3
    assert all(seen.headers["authorization"].startswith("Bearer canary-marketo-token") for seen in called)
    assert not any("token=canary" in seen.query for seen in called)


# In doubt


def test_what_arrived_is_found_and_what_did_not_is_sent(work: Running) -> None:
    work.server.then(reset(takes=True), reset(takes=False))
    rows = [known_lead(0), known_lead(1)]
    lost = [work.create().send([row])[0] for row in rows]
    assert [result.outcome for result in lost] == [Outcome.UNKNOWN] * 2
    assert {result.retry_after for result in lost} == {300.0}, "Marketo may be at work on it for 90 s"
    again = [in_doubt(0), in_doubt(1)]
    assert outcomes(again, work.create().reconcile(again)) == ["delivered", "not_found"]


def test_after_a_crash_marketo_is_given_time_before_anything_is_sent_again(work: Running) -> None:
    work.create().send([known_lead(0)])
    rows = [in_doubt(0, "claimed"), in_doubt(1, "claimed")]
    found, missing = in_order(rows, work.create().reconcile(rows))
    assert (found.outcome, missing.outcome) == (Outcome.DELIVERED, Outcome.UNKNOWN)
    assert missing.retry_after == 300.0


def test_many_activities_are_read_to_their_end_for_30_leads_at_a_time(work: Running) -> None:
    marketo = work.create()
    marketo.send([known_lead(number) for number in range(40)])
    vendor(work).page_size = 7
    rows = [in_doubt(number) for number in range(45)]
    assert outcomes(rows, marketo.reconcile(rows)) == ["delivered"] * 40 + ["not_found"] * 5
    assert reads(work).count("/rest/v1/activities.json") == 5 + 2


def test_reading_back_creates_no_lead(work: Running) -> None:
    vendor(work).leads = {"u0@example.com": 1000}
    work.create().send([known_lead(0)])
    rows = [
        outbox_row(0, previous_status="unknown"),
        outbox_row(1, previous_status="unknown"),
        outbox_row(2, previous_status="claimed"),
    ]
    assert outcomes(rows, work.create().reconcile(rows)) == ["delivered", "not_found", "unknown"]
    assert {call["action"] for call in vendor(work).lead_calls} == {"updateOnly"}
    assert vendor(work).leads == {"u0@example.com": 1000}


def test_what_cannot_be_read_stays_in_doubt(work: Running) -> None:
    vendor(work).lead_answers = [failed(611, "System error")] * 4
    (result,) = work.create().reconcile([outbox_row(0, previous_status="unknown")])
    assert result.outcome is Outcome.UNKNOWN
    vendor(work).page_size = 0
    vendor(work).activities.append({"leadId": 1000, "activityTypeId": ACTIVITY_TYPE, "activityDate": "2026-11-01T10"})
    (result,) = work.create().reconcile([in_doubt(0, matched_at=datetime(2026, 10, 31))])
    assert result.outcome is Outcome.UNKNOWN, "pages without end are no proof that it is not there"


def test_a_requested_campaign_that_is_in_doubt_is_never_sent_again_by_itself(work: Running) -> None:
    row = campaign(0, previous_status="unknown")
    (result,) = work.create().reconcile([row])
    assert result.outcome is Outcome.UNKNOWN
    assert "tripline release" in result.answer
    assert "stays in doubt" in CAPABILITIES.promises[CrashPolicy.RECONCILE]


# Settings, and the stand-in


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BASE_URL", "", "BASE_URL"),
        ("BASE_URL", "ftp://somewhere", "no address"),
        ("CLIENT_ID", " ", "CLIENT_ID is not set"),
        ("CLIENT_SECRET", "", "CLIENT_SECRET is not set"),
        ("ATTRIBUTES", '{"productId": "properties.product"}', "the payload has no value properties.product"),
        ("TOKENS", '{"all": "properties"}', "the payload has no value properties"),
        ("SETTLE_SECONDS", "-1", "SETTLE_SECONDS"),
    ],
)
def test_a_wrong_setting_is_named_and_no_secret_shown(tmp_path: Path, name: str, value: str, told: str) -> None:
    with running(CASE, tmp_path, **{f"TRIPLINE_MARKETO_{name}": value}) as work:
        with pytest.raises(ConfigError, match=told) as caught:
            work.create()
        assert "canary" not in str(caught.value)
        assert f"TRIPLINE_MARKETO_{name}" in str(caught.value)


@pytest.mark.parametrize(
    ("schema", "broken"),
    [
        ("activity", {"leadId": "the lead of u0"}),
        ("activity", {"attributes": [{"apiName": "x"}]}),
        ("activity", {"activityTypeId": None}),
        ("activity", {"status": "added"}),
        ("campaign", {"tokens": [{"name": "{{my.x}}"}]}),
        ("campaign", {"leads": [1000]}),
        ("campaign", {"token": []}),
    ],
)
def test_the_stand_in_for_marketo_refuses_what_its_description_does(
    work: Running, schema: str, broken: dict[str, Any]
) -> None:
    marketo = work.create()
    assert isinstance(marketo, MarketoDestination)
    if schema == "activity":
        (request,) = marketo.prepare([known_lead(0)])
        body = json.loads(request.body)
        wrong = {"input": [{**body["input"][0], **broken}]}
        name = "CustomActivityRequest"
    else:
        (request,) = marketo.prepare([campaign(0)])
        body = json.loads(request.body)
        wrong, name = {"input": {**body["input"], **broken}}, "TriggerCampaignRequest"
    assert vendor(work).check(name, body) == []
    assert vendor(work).check(name, wrong) != []
