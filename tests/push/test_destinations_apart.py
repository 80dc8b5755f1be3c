"""Several destinations in one push: none waits for another, and one that keeps failing is left alone for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.destinations.registry import DESTINATIONS, Registry
from orchestration.errors import ConfigError
from orchestration.push import outbox_fingerprint, push
from orchestration.push_report import PushReport
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.push.conftest import Platform, Shop, eventually

MODULES = {**DESTINATIONS, "ledger": "tests.push.ledger_platform"}


@pytest.fixture
def ledger(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ledger.txt"
    path.touch()
    monkeypatch.setenv("LEDGER", str(path))
    shop.add_campaign("loyalty", "ledger")
    return path


def fingerprint(shop: Shop) -> str | None:
    with connect(shop.path, read_only=True, wait_seconds=10) as connection:
        return outbox_fingerprint(connection)


def fail_once(shop: Shop, settings: Settings, platform: Platform) -> PushReport:
    platform.misbehave(*[{"kind": "status", "status": 500}] * 2)
    return push(settings)


@pytest.fixture
def breaker(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Opens after two failing groups, for so many seconds."""

    def set_up(cool_off_seconds: float) -> None:
        monkeypatch.setenv("TRIPLINE_PUSH_ATTEMPTS", "1")
        monkeypatch.setenv("TRIPLINE_PUSH_BREAKER_FAILURES", "2")
        monkeypatch.setenv("TRIPLINE_PUSH_BREAKER_COOL_OFF_SECONDS", str(cool_off_seconds))
        monkeypatch.setenv("TRIPLINE_PUSH_BREAKER_COOL_OFF_MAX_SECONDS", "100000")
        monkeypatch.setenv("TRIPLINE_PUSH_GROUP_ROWS", "2")
        monkeypatch.setenv("TRIPLINE_PUSH_CLAIM_ROWS", "4")

    return set_up


def test_a_destination_that_does_not_answer_holds_up_no_other(
    shop: Shop, settings: Settings, platform: Platform, ledger: Path
) -> None:
    shop.fire(3)
    shop.fire(5, first=3, campaign="loyalty")
    platform.misbehave({"kind": "process_then_wait"})
    reports: list[PushReport] = []
    registry = Registry(MODULES, settings=settings)
    pushing = threading.Thread(target=lambda: reports.append(push(settings, registry=registry)))
    pushing.start()
    try:
        eventually(lambda: platform.count("process_then_wait") == 1, "the webhook has its message")
        eventually(lambda: shop.final().get("delivered") == 5, "the other destination is done, and it is written down")
        assert pushing.is_alive()
    finally:
        platform.release()
        pushing.join(timeout=20)
    assert reports[0].counts == {"webhook": {"delivered": 3}, "ledger": {"delivered": 5}}


def test_a_destination_that_cannot_even_begin_holds_up_no_other(
    shop: Shop, settings: Settings, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEDGER")
    shop.fire(2)
    shop.fire(2, first=2, campaign="loyalty")
    report = push(settings, registry=Registry(MODULES, settings=settings))
    assert report.counts == {"webhook": {"delivered": 2}}
    assert "KeyError" in report.problems["ledger"].message


def test_the_numbers_of_the_log_are_gapless_however_many_destinations_write_it(
    shop: Shop, settings: Settings, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_GROUP_ROWS", "3")
    monkeypatch.setenv("TRIPLINE_PUSH_CLAIM_ROWS", "5")
    shop.fire(20)
    shop.fire(20, first=20, campaign="loyalty")
    assert push(settings, registry=Registry(MODULES, settings=settings)).delivered == 40
    assert [seq for (seq,) in shop.log("delivery_seq")] == list(range(1, 81))


def test_a_destination_that_keeps_failing_is_left_alone_and_wakes_no_sensor(
    shop: Shop, settings: Settings, platform: Platform, breaker: Callable[[float], None]
) -> None:
    breaker(3600)
    shop.fire(6)
    assert fail_once(shop, settings, platform).resting == []
    assert fail_once(shop, settings, platform).resting == []
    platform.misbehave()
    assert fingerprint(shop) is None
    report = push(settings)
    assert report.resting == ["webhook"] and report.counts == {}
    assert platform.received()["requests"] == {"status": 4}, "nothing more was asked of it"


def test_after_the_pause_one_group_is_a_probe_and_its_failure_makes_the_pause_longer(
    shop: Shop, settings: Settings, platform: Platform, breaker: Callable[[float], None]
) -> None:
    breaker(3600)
    shop.fire(6)
    for _ in range(2):
        fail_once(shop, settings, platform)
    shop.age_log(3601)
    assert fingerprint(shop) is not None
    before = platform.count("status")
    assert fail_once(shop, settings, platform).counts == {"webhook": {"failed": 2}}
    assert platform.count("status") == before + 2
    shop.age_log(3601)
    assert push(settings).resting == ["webhook"], "twice as long now"
    shop.age_log(3601)
    assert push(settings).counts == {"webhook": {"delivered": 6}}, "what was probed arrived, and so did the rest"
    assert push(settings).resting == []


def test_rows_that_the_platform_refuses_one_by_one_are_no_sign_that_it_is_down(
    shop: Shop, settings: Settings, platform: Platform, breaker: Callable[[float], None]
) -> None:
    breaker(3600)
    shop.fire(8)
    platform.misbehave(rejected_users={f"u{n}": "nobody" for n in range(6)})
    for _ in range(4):
        push(settings)
    assert shop.final() == {"delivered": 2, "rejected": 6}


def test_one_destination_in_dry_run_sends_nothing_while_the_others_do(
    shop: Shop, settings: Settings, platform: Platform, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_DRY_RUN", '["webhook"]')
    shop.fire(2)
    shop.fire(2, first=2, campaign="loyalty")
    report = push(settings, registry=Registry(MODULES, settings=settings))
    assert report.counts == {"webhook": {"dry_run": 2}, "ledger": {"delivered": 2}}
    assert platform.received()["requests"] == {}


def test_a_dry_run_of_a_destination_nobody_knows_is_refused(
    shop: Shop, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_DRY_RUN", '["wehbook"]')
    shop.fire(1)
    with pytest.raises(ConfigError, match="wehbook"):
        push(settings)
    assert shop.log("status") == []
