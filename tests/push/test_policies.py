"""Rows in doubt: sent again, read back or held for a person, as the destination's policy says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.destinations.registry import DESTINATIONS, Registry
from orchestration.errors import ConfigError
from orchestration.push import outbox_fingerprint, push
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.push.conftest import Platform, Shop

REGISTRY = Registry({**DESTINATIONS, "ledger": "tests.push.ledger_platform"})


@pytest.fixture
def ledger(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ledger.txt"
    path.touch()
    monkeypatch.setenv("LEDGER", str(path))
    shop.add_campaign("loyalty", "ledger")
    return path


def leave_in_doubt(shop: Shop, users: tuple[str, ...]) -> None:
    """What a push leaves that dies after its claim."""
    shop.run(
        "insert into triggers.campaign_deliveries select 1000 + row_number() over (order by idempotency_key),"
        " idempotency_key, decision_id, destination, campaign, trigger_name, user_id, 'claimed', 1, 'dead', now(),"
        f" null, null, null, null from triggers.campaign_outbox where user_id in {(*users, '')}"
    )


def key_of(shop: Shop, user: str) -> str:
    return shop.run(f"select idempotency_key from triggers.campaign_outbox where user_id = '{user}'")[0][0]


def test_what_the_platform_already_holds_is_not_sent_again_to_a_platform_without_keys(
    shop: Shop, settings: Settings, ledger: Path
) -> None:
    shop.fire(3, campaign="loyalty")
    ledger.write_text(key_of(shop, "u0") + "\n")
    leave_in_doubt(shop, ("u0", "u1"))
    assert push(settings, registry=REGISTRY).counts == {"ledger": {"delivered": 3}}
    keys = ledger.read_text().split()
    assert len(keys) == len(set(keys)) == 3


def test_a_row_in_doubt_whose_match_is_gone_is_read_back_first(shop: Shop, settings: Settings, ledger: Path) -> None:
    shop.fire(2, campaign="loyalty")
    ledger.write_text(key_of(shop, "u0") + "\n")
    leave_in_doubt(shop, ("u0", "u1"))
    shop.run("delete from triggers.trigger_matches")
    assert push(settings, registry=REGISTRY).counts == {"ledger": {"delivered": 1, "cancelled": 1}}
    assert len(ledger.read_text().split()) == 1


def test_a_lost_answer_is_found_by_the_next_push(
    shop: Shop, settings: Settings, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(1, campaign="loyalty")
    monkeypatch.setenv("LEDGER_TAKES_THEN_FORGETS", "u0")
    assert push(settings, registry=REGISTRY).counts == {"ledger": {"unknown": 1}}
    assert push(settings, registry=REGISTRY).counts == {"ledger": {"delivered": 1}}
    assert len(ledger.read_text().split()) == 1


def test_held_rows_wait_for_a_person_and_wake_no_sensor(
    shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_CRASH_POLICIES", '{"webhook": "hold"}')
    shop.fire(3)
    leave_in_doubt(shop, ("u0", "u1"))
    report = push(settings)
    assert report.held == {"webhook": 2}
    assert report.counts == {"webhook": {"delivered": 1, "held": 2}}
    assert [item["user_id"] for item in platform.received()["effects"]] == ["u2"]
    assert push(settings).counts == {}, "they are marked once"
    with connect(shop.path) as connection:
        assert outbox_fingerprint(connection) is None


def test_a_destination_that_breaks_leaves_its_rows_in_doubt_and_stops_no_other(
    shop: Shop, settings: Settings, platform: Platform, ledger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shop.fire(1)
    shop.fire(1, first=1, campaign="loyalty")
    shop.run("update triggers.campaign_queue set user_id = 'bug' where campaign = 'loyalty'")
    shop.run("update triggers.trigger_matches set user_id = 'bug' where user_id = 'u1'")
    report = push(settings, registry=REGISTRY)
    assert report.counts == {"ledger": {"unknown": 1}, "webhook": {"delivered": 1}}
    assert "KeyError" in report.problems["ledger"].message
    assert "ledger_platform.py" in caplog.text and "pa55word" not in caplog.text
    assert push(settings, registry=REGISTRY).counts == {"ledger": {"delivered": 1}}


@pytest.mark.parametrize(
    ("policies", "why"), [('{"webhook": "reconcile"}', "cannot be read back"), ('{"wehbook": "hold"}', "wehbook")]
)
def test_a_policy_that_cannot_be_is_refused_before_anything_is_claimed(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch, policies: str, why: str
) -> None:
    shop.fire(1)
    monkeypatch.setenv("TRIPLINE_PUSH_CRASH_POLICIES", policies)
    with pytest.raises(ConfigError, match=why):
        push(settings)
    assert shop.log("status") == []


def test_only_the_named_destination_is_served(
    shop: Shop, settings: Settings, ledger: Path, start_push: Callable[[], object]
) -> None:
    shop.fire(1)
    shop.fire(1, first=1, campaign="loyalty")
    assert push(settings, destination="ledger", registry=REGISTRY).counts == {"ledger": {"delivered": 1}}
    assert push(settings, registry=REGISTRY).counts == {"webhook": {"delivered": 1}}
