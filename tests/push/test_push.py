"""What a push does with every kind of answer, seen in the delivery log and at the platform."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import duckdb
import pytest
from filelock import FileLock

from orchestration.destinations.registry import Registry
from orchestration.errors import ConfigError, WarehouseLocked
from orchestration.push import PushRunning, outbox_fingerprint, push
from orchestration.settings import Settings, get_settings
from orchestration.warehouse import connect
from tests.push.conftest import SECRET, Platform, Shop


def test_a_firing_arrives_signed_with_user_trigger_time_evidence_and_campaign(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(1)
    report = push(settings)
    (item,) = platform.received()["effects"]
    assert (item["user_id"], item["trigger"], item["campaign"]) == ("u0", "cart_abandoned", "come_back")
    assert item["matched_at"] == "2026-11-01T10:00:00.000000Z"
    assert item["evidence"]["event_keys"] and item["evidence"]["observed_value"] == 86400
    assert item["webhook_id"] == item["idempotency_key"]
    assert report.counts == {"webhook": {"delivered": 1}}
    assert shop.log("status", "attempt", "http_status") == [("claimed", 1, None), ("delivered", 1, 200)]
    assert push(settings).counts == {}


def test_429_is_waited_out_for_as_long_as_the_platform_asks(shop: Shop, settings: Settings, platform: Platform) -> None:
    shop.fire(1)
    platform.misbehave({"kind": "status", "status": 429, "retry_after": "1"})
    started = time.monotonic()
    assert push(settings).delivered == 1
    assert time.monotonic() - started >= 1.0


def test_429_with_an_http_date_is_waited_out(shop: Shop, settings: Settings, platform: Platform) -> None:
    shop.fire(1)
    until = datetime.now(UTC) + timedelta(seconds=2)
    date = format_datetime(until, usegmt=True)
    platform.misbehave({"kind": "status", "status": 429, "retry_after": date})
    assert push(settings).delivered == 1
    assert datetime.now(UTC) >= until.replace(microsecond=0)


def test_a_wait_longer_than_a_push_may_last_is_left_to_a_later_push(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(3)
    platform.misbehave({"kind": "status", "status": 429, "retry_after": "3600"})
    started = time.monotonic()
    report = push(settings)
    assert time.monotonic() - started < 10
    assert report.counts == {"webhook": {"failed": 3}}
    assert platform.received()["requests"] == {"status": 1}, "the other rows must respect the wait too"
    waits = shop.run(
        "select date_diff('second', recorded_at, retry_at) from triggers.campaign_deliveries where status = 'failed'"
    )
    assert all(3590 <= wait <= 3600 for (wait,) in waits)
    assert push(settings).counts == {}, "not before retry_at"


def test_a_500_is_tried_again_at_once(shop: Shop, settings: Settings, platform: Platform) -> None:
    shop.fire(1)
    platform.misbehave({"kind": "status", "status": 500}, {"kind": "status", "status": 503})
    assert push(settings).counts == {"webhook": {"delivered": 1}}
    assert shop.statuses() == ["claimed", "delivered"]


def test_a_row_that_failed_goes_out_with_a_later_push(shop: Shop, settings: Settings, platform: Platform) -> None:
    shop.fire(1)
    platform.misbehave(*[{"kind": "status", "status": 500, "body": "out of order"}] * 4)
    assert push(settings).counts == {"webhook": {"failed": 1}}
    assert shop.log("status", "http_status", "answer")[-1] == ("failed", 500, "out of order")
    assert push(settings).counts == {"webhook": {"delivered": 1}}
    assert shop.statuses() == ["claimed", "failed", "claimed", "delivered"]
    assert [attempt for (attempt,) in shop.log("attempt")] == [1, 1, 2, 2]


def test_a_failed_row_waits_longer_after_every_attempt(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(1)
    monkeypatch.setenv("TRIPLINE_PUSH_ATTEMPTS", "1")
    monkeypatch.setenv("TRIPLINE_PUSH_RETRY_SECONDS", "100")
    platform.misbehave(*[{"kind": "status", "status": 500}] * 3)
    waits = []
    for _ in range(3):
        assert push(settings).total("failed") == 1
        assert push(settings).counts == {}
        waits += shop.log("date_diff('second', recorded_at, retry_at)")[-1]
        shop.run("update triggers.campaign_deliveries set retry_at = recorded_at where retry_at is not null")
    assert [99 <= waits[0] <= 110, 199 <= waits[1] <= 220, 399 <= waits[2] <= 440] == [True] * 3


@pytest.mark.parametrize("kind", ["process_then_silence", "process_then_reset"])
def test_an_answer_that_never_comes_is_unknown_and_sent_again_with_the_same_key(
    shop: Shop, settings: Settings, platform: Platform, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(1)
    platform.misbehave({"kind": kind})
    with monkeypatch.context() as impatient:
        impatient.setenv("TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS", "0.5")
        assert push(settings).counts == {"webhook": {"unknown": 1}}
    assert platform.received()["messages"] == 1
    assert push(settings).counts == {"webhook": {"delivered": 1}}
    received = platform.received()
    assert (received["messages"], received["duplicates"], len(received["effects"])) == (2, 1, 1)
    assert shop.statuses() == ["claimed", "unknown", "claimed", "delivered"]


def test_a_connection_that_is_reset_before_anything_was_taken_loses_nothing(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(3)
    platform.misbehave({"kind": "reset"})
    assert push(settings).counts == {"webhook": {"delivered": 2, "unknown": 1}}
    assert push(settings).delivered == 1
    assert platform.received()["duplicates"] == 0


def test_an_unreachable_host_leaves_every_row_for_later_and_does_not_hang(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.kill()
    monkeypatch.setenv("TRIPLINE_PUSH_MAX_WAIT_SECONDS", "0.2")
    shop.fire(300)
    started = time.monotonic()
    report = push(settings)
    assert time.monotonic() - started < 5
    assert report.counts == {"webhook": {"failed": 300}}
    answers = {answer.split(":")[0] for status, answer in shop.log("status", "answer") if status == "failed"}
    assert answers == {"ConnectError", "not sent"}


def test_a_dead_platform_costs_one_claim_not_the_whole_outbox(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.kill()
    monkeypatch.setenv("TRIPLINE_PUSH_MAX_WAIT_SECONDS", "0")
    monkeypatch.setenv("TRIPLINE_PUSH_CLAIM_ROWS", "20")
    monkeypatch.setenv("TRIPLINE_PUSH_GROUP_ROWS", "5")
    shop.fire(50)
    assert push(settings).counts == {"webhook": {"failed": 20}}
    assert len(shop.log("status")) == 40


def test_a_permanent_error_is_kept_with_the_platforms_answer_and_never_tried_again(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(2)
    platform.misbehave(rejected_users={"u0": "is not subscribed"})
    assert push(settings).counts == {"webhook": {"delivered": 1, "rejected": 1}}
    entries = [row for row in shop.log("user_id", "status", "http_status", "answer") if row[1] == "rejected"]
    assert entries == [("u0", "rejected", 400, '{"error": "u0: is not subscribed"}')]
    assert push(settings).counts == {}


def test_a_poison_row_in_a_batch_of_ten_loses_only_itself(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_WEBHOOK_BATCH_SIZE", "10")
    shop.fire(10)
    platform.misbehave(rejected_users={"u6": "poison"})
    assert push(settings).counts == {"webhook": {"delivered": 9, "rejected": 1}}
    received = platform.received()
    assert {item["user_id"] for item in received["effects"]} == {f"u{n}" for n in range(10)} - {"u6"}
    assert shop.statuses("u6") == ["claimed", "rejected"]


def test_a_batch_is_one_message_whose_items_keep_their_own_keys(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_WEBHOOK_BATCH_SIZE", "10")
    shop.fire(25)
    platform.misbehave({"kind": "process_then_reset"})
    assert push(settings).counts == {"webhook": {"delivered": 15, "unknown": 10}}
    shop.fire(5, first=25)
    monkeypatch.setenv("TRIPLINE_WEBHOOK_BATCH_SIZE", "4")
    assert push(settings).delivered == 15
    received = platform.received()
    assert received["messages"] == 3 + 4
    assert (len(received["effects"]), received["duplicates"]) == (30, 10), "other company, same keys"


@pytest.mark.parametrize("status", [401, 410])
def test_an_endpoint_that_refuses_everything_costs_one_message_not_the_outbox(
    shop: Shop, settings: Settings, platform: Platform, status: int
) -> None:
    shop.fire(5)
    platform.misbehave({"kind": "status", "status": status})
    report = push(settings)
    assert report.counts == {"webhook": {"failed": 5}}, "no row is to blame, so none is rejected"
    assert str(status) in report.problems["webhook"].message
    assert platform.received()["requests"] == {"status": 1}
    assert push(settings).delivered == 5


def test_a_wrong_secret_is_refused_by_the_platform_and_reported(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(1)
    monkeypatch.setenv("TRIPLINE_WEBHOOK_SECRET", "whsec_YW5vdGhlciBzZWNyZXQ=")
    with pytest.raises(Exception, match="401"):
        push(get_settings()).raise_problems()
    assert platform.received()["effects"] == []


def test_a_firing_whose_match_is_gone_is_cancelled_not_sent(shop: Shop, settings: Settings, platform: Platform) -> None:
    shop.fire(2)
    shop.run("delete from triggers.trigger_matches where user_id = 'u0'")
    assert push(settings).counts == {"webhook": {"cancelled": 1, "delivered": 1}}
    assert shop.statuses() == ["cancelled"]
    assert [item["user_id"] for item in platform.received()["effects"]] == ["u1"]
    assert push(settings).counts == {}


def test_a_firing_in_doubt_whose_match_is_gone_is_not_sent_again_and_the_log_says_what_is_not_known(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(1)
    platform.misbehave({"kind": "process_then_reset"})
    push(settings)
    shop.run("delete from triggers.trigger_matches")
    assert push(settings).counts == {"webhook": {"cancelled": 1}}
    assert "not known" in shop.log("answer")[-1][0]
    assert platform.received()["messages"] == 1


def test_a_dry_run_sends_nothing_needs_no_address_and_settles_its_rows(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(2)
    monkeypatch.delenv("TRIPLINE_WEBHOOK_URL")
    monkeypatch.setenv("TRIPLINE_DELIVERY", "dry_run")
    report = push(get_settings())
    assert report.is_dry_run and report.counts == {"webhook": {"dry_run": 2}}
    assert shop.log("status") == [("dry_run",), ("dry_run",)]
    assert platform.received()["requests"] == {}
    assert push(settings, dry_run=False).counts == {}


def test_the_callers_flag_wins_over_the_environment(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(1)
    assert push(settings, dry_run=True).total("dry_run") == 1
    shop.fire(1, first=1)
    monkeypatch.setenv("TRIPLINE_DELIVERY", "dry_run")
    assert push(get_settings(), dry_run=False).delivered == 1


def test_one_push_at_a_time(shop: Shop, settings: Settings) -> None:
    shop.fire(1)
    with FileLock(f"{settings.warehouse_path}.push.lock"), pytest.raises(PushRunning, match="another push"):
        push(settings)
    assert push(settings).delivered == 1


def test_a_locked_warehouse_is_a_retry_not_a_loss(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch, start_push
) -> None:
    shop.fire(1)
    monkeypatch.setenv("TRIPLINE_LOCK_TIMEOUT_SECONDS", "0.1")
    with shop.hold():
        process = start_push()
        assert process.wait(timeout=20) != 0
    assert issubclass(PushRunning, WarehouseLocked)
    assert shop.log("status") == []


def test_more_rows_than_one_push_may_take_are_left_and_progress_is_told(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_CLAIM_ROWS", "5")
    monkeypatch.setenv("TRIPLINE_PUSH_GROUP_ROWS", "3")
    shop.fire(10)
    seen: list[tuple[int, int]] = []
    report = push(settings, max_rows=7, progress=lambda done, total: seen.append((done, total)))
    assert report.delivered == 7
    assert seen == [(3, 7), (5, 7), (7, 7)]
    oldest = [user for user, status in shop.log("user_id", "status") if status == "delivered"]
    assert set(oldest) == {f"u{n}" for n in range(7)}, "oldest decision first"
    assert push(settings).delivered == 3


def test_a_campaign_with_an_unknown_destination_names_its_seed_row_and_stops_no_other(
    shop: Shop, settings: Settings, tmp_path
) -> None:
    seed = tmp_path / "seeds" / "campaigns.csv"
    seed.parent.mkdir()
    seed.write_text("campaign,destination,is_enabled,description\ncome_back,webhook,true,\nlost,pigeon,true,\n")
    shop.add_campaign("lost", "pigeon")
    shop.fire(1)
    shop.fire(1, first=1, campaign="lost")
    report = push(settings, registry=Registry(campaigns_seed=seed))
    assert report.counts == {"webhook": {"delivered": 1}}
    assert 'seeds/campaigns.csv, line 3, campaign "lost"' in report.problems["pigeon"].message
    with pytest.raises(ConfigError, match="pigeon"):
        report.raise_problems()
    with pytest.raises(ConfigError, match="pigeon"):
        push(settings, destination="pigeon")


def test_a_missing_address_is_a_problem_that_says_which_variable_and_claims_nothing(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(1)
    monkeypatch.delenv("TRIPLINE_WEBHOOK_URL")
    report = push(get_settings())
    assert "TRIPLINE_WEBHOOK_URL" in report.problems["webhook"].message
    assert shop.log("status") == []


def test_nothing_secret_reaches_the_log_the_table_or_an_error(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    key = SECRET.removeprefix("whsec_")
    address = platform.url.replace("http://", "http://ann:pa55word@") + "/hook?token=t0psecret%2Fkey"
    monkeypatch.setenv("TRIPLINE_WEBHOOK_URL", address)
    echo = f"you sent {SECRET} {key} pa55word t0psecret%2Fkey t0psecret/key to {address} " + "x" * 5000
    platform.misbehave(
        *[{"kind": "status", "status": 500, "body": echo}] * 4,
        {"kind": "status", "status": 400, "body": echo},
        {"kind": "status", "status": 401, "body": echo},
        {"kind": "reset"},
    )
    caplog.set_level(logging.DEBUG)
    shop.fire(3)
    reports = [push(get_settings()) for _ in range(3)]
    platform.kill()
    shop.fire(1, first=3)
    reports.append(push(get_settings()))
    table = shop.run("select to_json(d)::varchar from triggers.campaign_deliveries as d")
    told = json.dumps([report.as_dict() for report in reports]) + caplog.text + str(table) + repr(settings)
    assert "you sent" in told and "401" in told and "ConnectError" in told
    for secret in (key, "pa55word", "t0psecret"):
        assert secret not in told
    assert all(len(answer) <= 2000 for (answer,) in shop.log("coalesce(answer, '')"))


def test_the_fingerprint_changes_with_the_rows_and_their_attempts_and_never_with_the_clock(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    def fingerprint(later: float = 0.0) -> str | None:
        with connect(shop.path, read_only=True) as connection:
            now = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=later)
            return outbox_fingerprint(connection, now=now)

    assert fingerprint() is None
    shop.fire(2)
    first = fingerprint()
    assert first and fingerprint(3600) == first
    platform.misbehave(*[{"kind": "status", "status": 429, "retry_after": "600"}] * 4)
    push(settings)
    assert fingerprint() is None, "nothing is due before retry_at"
    assert fingerprint(601) not in (None, first), "the same rows must be asked for again"
    shop.fire(1, first=2)
    assert fingerprint() not in (None, first)


def test_the_fingerprint_of_a_warehouse_without_an_outbox_is_none(tmp_path) -> None:
    path = tmp_path / "new.duckdb"
    duckdb.connect(str(path)).close()
    with connect(path, read_only=True) as connection:
        assert outbox_fingerprint(connection) is None
    assert push(Settings(home=tmp_path, warehouse=path)).counts == {}
