"""Kill -9 at every boundary of a push: each firing takes effect once, and the log agrees with the platform.

The moments are made certain from outside: the platform stays silent or waits, or the test holds the warehouse.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration.push import push
from orchestration.settings import Settings
from tests.push.conftest import Platform, Shop, eventually

StartPush = Callable[[], "subprocess.Popen[bytes]"]
ROWS = 5


@pytest.fixture
def is_platform_a_process() -> bool:
    return True


@pytest.fixture(autouse=True)
def patience(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that on a slow machine the kill comes before the push gives an answer up."""
    monkeypatch.setenv("TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS", "20")


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def is_pushing(settings: Settings) -> bool:
    """As the kernel has it: trying the lock would be in the way of the push, which does not wait for it."""
    lock = Path(f"{settings.warehouse_path}.push.lock")
    if not lock.exists():
        return False
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return str(lock.stat().st_ino) in [words[5].rpartition(":")[2] for words in locks if words[1] == "FLOCK"]


def assert_each_took_effect_once(shop: Shop, platform: Platform, rows: int) -> None:
    received = platform.received()
    delivered = {key for key, status in shop.log("idempotency_key", "status") if status == "delivered"}
    assert shop.final() == {"delivered": rows}
    assert len(received["effects"]) == rows
    assert {item["idempotency_key"] for item in received["effects"]} == delivered
    assert {item["user_id"] for item in received["effects"]} == {f"u{n}" for n in range(rows)}
    numbers = [seq for (seq,) in shop.log("delivery_seq")]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_push_killed_before_its_claim_loses_nothing(
    shop: Shop, settings: Settings, platform: Platform, start_push: StartPush
) -> None:
    shop.fire(ROWS)
    with shop.hold():
        process = start_push()
        eventually(lambda: is_pushing(settings), "the push takes its lock")
        kill(process)
    assert shop.log("status") == []
    assert push(settings).delivered == ROWS
    assert_each_took_effect_once(shop, platform, ROWS)
    assert platform.received()["duplicates"] == 0


def test_a_push_killed_after_its_claim_and_before_anything_was_sent_is_taken_up(
    shop: Shop, settings: Settings, platform: Platform, start_push: StartPush
) -> None:
    shop.fire(ROWS)
    platform.misbehave({"kind": "silence"})
    process = start_push()
    eventually(lambda: platform.count("silence") == 1, "the first message is on the wire")
    kill(process)
    assert shop.final() == {"claimed": ROWS}
    assert platform.received()["effects"] == []
    push(settings)
    assert_each_took_effect_once(shop, platform, ROWS)
    assert platform.received()["duplicates"] == 0
    assert shop.statuses() == ["claimed", "claimed", "delivered"]


def test_a_push_killed_after_the_platform_took_the_message_does_not_trigger_the_user_twice(
    shop: Shop, settings: Settings, platform: Platform, start_push: StartPush
) -> None:
    shop.fire(ROWS)
    platform.misbehave({"kind": "ok"}, {"kind": "process_then_silence"})
    process = start_push()
    eventually(lambda: len(platform.received()["effects"]) == 2, "the second message is taken")
    kill(process)
    assert shop.final() == {"claimed": ROWS}
    push(settings)
    assert_each_took_effect_once(shop, platform, ROWS)
    assert platform.received()["duplicates"] == 2


def test_a_push_killed_before_it_could_record_an_answer_does_not_trigger_the_user_twice(
    shop: Shop, settings: Settings, platform: Platform, start_push: StartPush
) -> None:
    shop.fire(1)
    platform.misbehave({"kind": "process_then_wait"})
    process = start_push()
    eventually(lambda: len(platform.received()["effects"]) == 1, "the message is taken")
    with shop.hold():
        platform.release()
        eventually(lambda: platform.count("answered") == 1, "the answer is out")
        time.sleep(0.1)
        assert process.poll() is None, "the push waits for the warehouse to record what it sent"
        kill(process)
    assert shop.final() == {"claimed": 1}
    push(settings)
    assert_each_took_effect_once(shop, platform, 1)
    assert platform.received()["duplicates"] == 1


def test_pushes_killed_at_random_moments_still_deliver_everything_once(
    shop: Shop, settings: Settings, platform: Platform, start_push: StartPush, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, dice = 60, random.Random(20261101)
    monkeypatch.setenv("TRIPLINE_PUSH_CLAIM_ROWS", "15")
    monkeypatch.setenv("TRIPLINE_PUSH_GROUP_ROWS", "7")
    shop.fire(rows)
    for step in (8, 21, 40):
        process = start_push()
        eventually(lambda step=step: len(platform.received()["effects"]) >= step, f"{step} messages are taken")
        time.sleep(dice.uniform(0, 0.05))
        kill(process)
    push(settings)
    assert_each_took_effect_once(shop, platform, rows)
    assert shop.run("select max(attempt) from triggers.campaign_deliveries")[0][0] <= 4


def test_a_platform_killed_while_taking_messages_ends_with_each_effect_once(
    shop: Shop, settings: Settings, platform: Platform, start_push: StartPush
) -> None:
    shop.fire(ROWS)
    platform.misbehave({"kind": "ok"}, {"kind": "ok"}, {"kind": "process_then_silence"})
    process = start_push()
    eventually(lambda: len(platform.received()["effects"]) == 3, "the third message is taken")
    platform.kill()
    assert process.wait(timeout=20) == 0
    left = shop.final()
    # A connection that the dying platform's kernel still took in is in doubt too.
    assert left["delivered"] == 2 and left["unknown"] in (1, 2, 3) and set(left) <= {"delivered", "failed", "unknown"}
    platform.start(port=int(settings.webhook_url.split(":")[2].split("/")[0]))
    assert push(settings).delivered == 3
    assert_each_took_effect_once(shop, platform, ROWS)
    assert platform.received()["duplicates"] == 1


def test_a_batch_can_use_the_warehouse_while_a_push_is_on_the_wire(
    shop: Shop, settings: Settings, platform: Platform, start_push: StartPush
) -> None:
    shop.fire(1)
    platform.misbehave({"kind": "process_then_wait"})
    process = start_push()
    eventually(lambda: len(platform.received()["effects"]) == 1, "the message is taken")
    shop.fire(1, first=1)
    platform.release()
    assert process.wait(timeout=20) == 0
    assert ("u0", "delivered") in shop.log("user_id", "status")
