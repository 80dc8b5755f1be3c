"""Kill -9 with three destinations in flight: what each server saw and what the log says agree after the restart."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from orchestration.dead_letters import Wanted, Word, release
from orchestration.push import push
from orchestration.settings import Settings
from tests.destinations.case_rest import DECLARATION, SECRET, ShopApi
from tests.destinations.server import ScriptedServer, silence
from tests.push.conftest import Platform, Shop, eventually

ROWS = 40
USERS = {"come_back": 0, "to_api": 1_000, "to_forgetful": 2_000}
"""The first user of each campaign."""


class ForgetfulApi(ShopApi):
    """Takes a repeated key for another firing, as platforms without de-duplication do."""

    deduplicates = False


@dataclass
class Three:
    webhook: Platform
    api: ScriptedServer
    forgetful: ScriptedServer

    def effects(self, name: str) -> dict[str, int]:
        """How often each key took effect at a destination."""
        if name == "webhook":
            return {item["idempotency_key"]: 1 for item in self.webhook.received()["effects"]}
        return dict((self.api if name == "shop_api" else self.forgetful).effects)


@pytest.fixture
def is_platform_a_process() -> bool:
    return True


@pytest.fixture
def three(shop: Shop, settings: Settings, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Three]:
    with ExitStack() as stack:
        api = stack.enter_context(ScriptedServer(ShopApi()))
        forgetful = stack.enter_context(ScriptedServer(ForgetfulApi()))
        folder = settings.destinations_path
        folder.mkdir(parents=True)
        small = DECLARATION.replace("batch_size: 100", "batch_size: 4").replace("needs: [email]", "needs: []")
        plain = small.replace("deduplicates: true", "deduplicates: false")
        (folder / "shop_api.yml").write_text(small.replace("{url}", api.url))
        (folder / "forgetful.yml").write_text(plain.replace("{url}", forgetful.url))
        monkeypatch.setenv("SHOP_API_TOKEN", SECRET)
        monkeypatch.setenv("TRIPLINE_PUSH_CLAIM_ROWS", "15")
        monkeypatch.setenv("TRIPLINE_PUSH_GROUP_ROWS", "7")
        shop.add_campaign("to_api", "shop_api")
        shop.add_campaign("to_forgetful", "forgetful")
        for campaign, first in USERS.items():
            shop.fire(ROWS, first=first, campaign=campaign)
        yield Three(platform, api, forgetful)


def last_words(shop: Shop, destination: str) -> dict[str, str]:
    """What the log says last of each key of a destination."""
    return {
        key: status for name, key, status in shop.log("destination", "idempotency_key", "status") if name == destination
    }


def assert_agreement(shop: Shop, three: Three) -> None:
    for name in ("webhook", "shop_api"):
        words, effects = last_words(shop, name), three.effects(name)
        assert set(words.values()) == {"delivered"} and len(words) == ROWS
        assert set(effects) == set(words) and set(effects.values()) == {1}
    words, effects = last_words(shop, "forgetful"), three.effects("forgetful")
    delivered = {key for key, status in words.items() if status == "delivered"}
    held = {key for key, status in words.items() if status == "held"}
    assert len(delivered) + len(held) == ROWS
    assert set(effects.values()) <= {1}, "nothing is sent twice where a person decides"
    assert delivered <= set(effects) <= delivered | held
    numbers = [seq for (seq,) in shop.log("delivery_seq")]
    assert numbers == list(range(1, len(numbers) + 1))


def wait_for_progress(three: Three, step: int, process: subprocess.Popen[bytes]) -> None:
    eventually(lambda: len(three.effects("webhook")) >= step or process.poll() is not None, f"{step} messages")


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_push_killed_while_all_three_have_a_message_on_the_wire_ends_with_servers_and_log_in_agreement(
    shop: Shop, settings: Settings, three: Three, start_push: Callable[[], subprocess.Popen[bytes]]
) -> None:
    three.webhook.misbehave({"kind": "process_then_silence"})
    three.api.then(silence(takes=True))
    three.forgetful.then(silence(takes=True))
    process = start_push()
    eventually(lambda: len(three.effects("webhook")) == 1, "the webhook took its first message")
    eventually(lambda: len(three.api.effects) == len(three.forgetful.effects) == 4, "and so did the others")
    kill(process)
    assert set(shop.final()) == {"claimed"}
    push(settings)
    assert_agreement(shop, three)
    held = [key for key, status in last_words(shop, "forgetful").items() if status == "held"]
    assert set(held) == set(list(three.forgetful.effects)[:4]), "what may have arrived is what is held"
    assert release(settings, Wanted(destination="forgetful"), Word.DELIVERED).total == 4
    assert set(last_words(shop, "forgetful").values()) == {"delivered"}


def test_pushes_killed_at_random_moments_end_with_servers_and_log_in_agreement(
    shop: Shop, settings: Settings, three: Three, start_push: Callable[[], subprocess.Popen[bytes]]
) -> None:
    dice = random.Random(20261124)
    for step in (3, 12, 20, 28):
        process = start_push()
        wait_for_progress(three, step, process)
        time.sleep(dice.uniform(0, 0.15))
        kill(process)
    push(settings)
    assert_agreement(shop, three)
