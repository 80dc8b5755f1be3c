"""What is checked once more before anything goes out: the match, consent, an address, age."""

from __future__ import annotations

import pytest

from orchestration.dead_letters import Wanted, Word, redeliver, release
from orchestration.destinations.registry import Registry
from orchestration.push import outbox_fingerprint, push
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.destinations.case_rest import BATCH, ShopApi
from tests.destinations.server import ScriptedServer, fail
from tests.push.conftest import Platform, Shop


@pytest.fixture
def api(shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """A destination that needs an e-mail, and takes history."""
    with ScriptedServer(ShopApi()) as server:
        BATCH.write_files(settings.home, server.url)
        for name, value in BATCH.environment(server.url).items():
            monkeypatch.setenv(name, value)
        shop.add_campaign("by_mail", BATCH.name)
        yield server


def fingerprint(shop: Shop) -> str | None:
    with connect(shop.path, read_only=True) as connection:
        return outbox_fingerprint(connection)


def fail_pushes(settings: Settings, platform: Platform, times: int) -> None:
    for _ in range(times):
        platform.misbehave(*[{"kind": "status", "status": 500, "body": "out of order"}] * 4)
        push(settings)
    platform.misbehave()


def test_a_user_who_took_consent_back_since_is_not_told(shop: Shop, settings: Settings, platform: Platform) -> None:
    shop.fire(3)
    shop.run(
        "insert into behavior.int_consents values ('u0', '2026-11-01', true), ('u0', '2026-11-02', false),"
        " ('u1', '2026-11-01', false), ('u1', '2026-11-02', true)"
    )
    assert push(settings).counts == {"webhook": {"cancelled": 1, "delivered": 2}}
    assert "may not be told" in shop.log("answer")[0][0] + str(shop.log("answer"))
    assert shop.statuses("u0") == ["cancelled"]


def test_a_user_who_was_suppressed_since_is_not_told(shop: Shop, settings: Settings, platform: Platform) -> None:
    shop.fire(2)
    shop.run("insert into config.suppressed_users values ('u1', 'complained')")
    assert push(settings).counts == {"webhook": {"cancelled": 1, "delivered": 1}}
    assert [item["user_id"] for item in platform.received()["effects"]] == ["u0"]


def test_a_row_without_an_address_waits_and_goes_out_when_the_profile_learns_it(
    shop: Shop, settings: Settings, api: ScriptedServer
) -> None:
    shop.know("u0", email="u0@example.com")
    shop.know("u1", phone="+420123456789")
    shop.fire(3, campaign="by_mail")
    assert push(settings).counts == {"shop_api": {"delivered": 1, "waiting_for_address": 2}}
    assert shop.log("answer")[-2:].count(("needs email",)) >= 1
    assert fingerprint(shop) is None, "nothing to be done until a profile changes"
    assert push(settings).counts == {}
    shop.know("u1", phone="+420999999999")
    assert push(settings).counts == {"shop_api": {"waiting_for_address": 1}}, "another address, not the one it needs"
    shop.know("u1", email="u1@example.com")
    assert fingerprint(shop) is not None
    assert push(settings).counts == {"shop_api": {"delivered": 1}}
    assert shop.statuses("u1") == ["waiting_for_address", "waiting_for_address", "claimed", "delivered"]
    assert shop.statuses("u2") == ["waiting_for_address"]
    assert set(api.effects) == {key for key, status in shop.log("idempotency_key", "status") if status == "delivered"}


def test_a_row_without_an_address_is_rejected_when_its_time_is_over(
    shop: Shop, settings: Settings, api: ScriptedServer
) -> None:
    shop.fire(1, campaign="by_mail")
    push(settings)
    shop.set_clock("2026-11-02 10:02:00")
    assert push(settings).counts == {"shop_api": {"rejected": 1}}
    assert shop.run("select reason from triggers.dead_letters") == [("no address became known in time: needs email",)]
    assert api.seen == []


def test_a_row_that_waits_for_an_address_is_cancelled_when_its_match_goes(
    shop: Shop, settings: Settings, api: ScriptedServer
) -> None:
    shop.fire(1, campaign="by_mail")
    push(settings)
    shop.run("delete from triggers.trigger_matches")
    assert push(settings).counts == {"shop_api": {"cancelled": 1}}


def test_a_row_that_keeps_failing_is_given_up_after_its_age_with_the_platforms_last_words(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(1)
    fail_pushes(settings, platform, 2)
    shop.age_log(86_401)  # of exactly its age it still may be sent
    assert push(settings).counts == {"webhook": {"rejected": 1}}
    ((reason,),) = shop.run("select reason from triggers.dead_letters")
    assert reason.startswith("given up after 864") and reason.endswith("out of order")
    assert push(settings).counts == {}


def test_the_age_at_which_a_row_is_given_up_can_be_set(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_GIVE_UP_SECONDS", "60")
    shop.fire(1)
    fail_pushes(settings, platform, 1)
    shop.age_log(70)
    assert push(settings).counts == {"webhook": {"rejected": 1}}


def test_a_firing_that_grew_too_old_before_it_could_be_sent_is_not_sent(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(1)
    shop.set_clock("2026-11-02 10:02:00")
    assert push(settings).counts == {"webhook": {"rejected": 1}}
    assert platform.received()["effects"] == []


def test_in_a_replay_the_clock_of_the_data_makes_nothing_too_old(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(1)
    shop.set_clock("2026-11-02 10:02:00")
    shop.run(
        "insert into raw.load_batches values (1, 'segment', '2026-11-02 10:02:00', true, 1, 1, 1, 0, 0, 0,"
        " null, now(), now())"
    )
    assert push(settings).counts == {"webhook": {"delivered": 1}}


def test_refused_rows_are_sent_again_under_the_same_key_when_a_person_says_so(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(4)
    platform.misbehave(rejected_users={"u0": "unknown list", "u1": "Unknown List", "u2": "no such person"})
    assert push(settings).total("rejected") == 3
    platform.misbehave()
    wanted = Wanted(destination="webhook", reason="unknown list")
    assert redeliver(settings, wanted, is_dry_run=True).total == 2
    assert push(settings).counts == {}, "a dry run changes nothing"
    assert redeliver(settings, wanted).total == 2
    assert fingerprint(shop) is not None
    assert push(settings).counts == {"webhook": {"delivered": 2}}
    assert shop.statuses("u0") == ["claimed", "rejected", "requeued", "claimed", "delivered"]
    keys = {key for user, key in shop.log("user_id", "idempotency_key") if user == "u0"}
    assert len(keys) == 1
    assert redeliver(settings, wanted).total == 0
    assert shop.run("select user_id, status from triggers.dead_letters") == [("u2", "rejected")]


def test_dead_letters_are_chosen_by_destination_and_time(shop: Shop, settings: Settings, platform: Platform) -> None:
    shop.fire(1)
    platform.misbehave(rejected_users={"u0": "nobody"})
    push(settings)
    ((at,),) = shop.run("select recorded_at from triggers.dead_letters")
    assert redeliver(settings, Wanted(destination="hubspot")).total == 0
    assert redeliver(settings, Wanted(until=at.replace(year=at.year - 1))).total == 0
    assert redeliver(settings, Wanted(since=at.replace(year=at.year + 1))).total == 0
    assert redeliver(settings, Wanted(since=at, until=at)).total == 1


def test_a_row_that_was_given_up_and_asked_for_again_gets_its_whole_time_again(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    shop.fire(1)
    fail_pushes(settings, platform, 1)
    shop.age_log(90_000)
    push(settings)
    redeliver(settings, Wanted())
    fail_pushes(settings, platform, 1)
    assert push(settings).counts == {"webhook": {"delivered": 1}}


@pytest.mark.parametrize(("word", "messages"), [(Word.DELIVERED, 1), (Word.SEND, 2)])
def test_rows_in_doubt_that_are_held_are_settled_by_a_person(
    shop: Shop,
    settings: Settings,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    word: Word,
    messages: int,
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_CRASH_POLICIES", '{"webhook": "hold"}')
    shop.fire(1)
    platform.misbehave({"kind": "process_then_reset"})
    assert push(settings).counts == {"webhook": {"unknown": 1}}
    assert push(settings).counts == {"webhook": {"held": 1}}
    assert fingerprint(shop) is None
    assert shop.run("select status, contains(reason, 'waits for a person') from triggers.dead_letters") == [
        ("held", True)
    ]
    assert release(settings, Wanted(keys=["another"]), word).total == 0
    assert release(settings, Wanted(), word).total == 1
    push(settings)
    assert shop.final() == {"delivered": 1}
    assert platform.received()["messages"] == messages


def stale(shop: Shop, users: int, campaign: str) -> None:
    shop.fire(users, campaign=campaign)
    shop.run("update triggers.trigger_decisions set decision = 'suppressed', reason = 'stale'")
    shop.run("delete from triggers.campaign_queue where decision_id is not null")


def test_loading_the_past_tells_nobody(shop: Shop, settings: Settings, platform: Platform, api: ScriptedServer) -> None:
    stale(shop, 3, "by_mail")
    assert push(settings).counts == {}
    assert fingerprint(shop) is None


def test_history_goes_only_where_it_messages_nobody_and_only_when_asked_for(
    shop: Shop, settings: Settings, platform: Platform, api: ScriptedServer
) -> None:
    for number in range(3):
        shop.know(f"u{number}", email=f"u{number}@example.com")
    stale(shop, 3, "by_mail")
    shop.run("insert into config.suppressed_users values ('u2', 'complained')")
    shop.run("insert into triggers.campaigns values ('by_mail', 'webhook', 'true', null, null)")
    report = push(settings, is_history=True)
    assert report.counts == {"shop_api": {"cancelled": 1, "delivered": 2}}
    assert set(api.effects) == api.silent and len(api.silent) == 2
    assert platform.received()["requests"] == {}, "the webhook has no history mode"
    assert push(settings, is_history=True).counts == {}


def test_a_history_row_that_failed_is_sent_as_history_again_and_never_as_news(
    shop: Shop, settings: Settings, api: ScriptedServer
) -> None:
    shop.know("u0", email="u0@example.com")
    stale(shop, 1, "by_mail")
    api.then(*[fail(500)] * 4)
    assert push(settings, is_history=True).counts == {"shop_api": {"failed": 1}}
    assert push(settings).counts == {}
    assert push(settings, is_history=True).counts == {"shop_api": {"delivered": 1}}
    assert set(api.effects) == api.silent


def test_a_destination_that_is_declared_wrongly_is_a_problem_of_its_own(
    shop: Shop, settings: Settings, platform: Platform
) -> None:
    folder = settings.destinations_path
    folder.mkdir(parents=True)
    (folder / "broken.yml").write_text("url: https://api.example.com\nbody: '{\"a\": {{ row.emial | tojson }}}'\n")
    shop.add_campaign("lost", "broken")
    shop.fire(1)
    shop.fire(1, first=1, campaign="lost")
    report = push(settings, registry=Registry(settings=settings))
    assert report.counts == {"webhook": {"delivered": 1}}
    assert "broken.yml" in report.problems["broken"].message and "emial" in report.problems["broken"].message
    assert shop.statuses("u1") == []
