"""What is said of the destinations in use."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.destinations.base import CrashPolicy
from orchestration.destinations.promises import promises_in_use
from orchestration.destinations.registry import DESTINATIONS, Registry
from orchestration.destinations.settings import PushSettings
from orchestration.errors import ConfigError
from orchestration.settings import Settings


def registry(tmp_path: Path, *rows: str) -> Registry:
    seed = tmp_path / "campaigns.csv"
    seed.write_text("\n".join(["campaign,destination,is_enabled", *rows]))
    return Registry(DESTINATIONS, seed, Settings(home=tmp_path))


def test_the_promise_of_the_policy_in_force_is_told_for_each_destination_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = registry(tmp_path, "a,webhook,true", "b,webhook,true", "c,pigeon,false")
    (promise,) = promises_in_use(known, PushSettings())
    assert (promise.destination, promise.policy) == ("webhook", CrashPolicy.RESEND)
    assert "nothing is lost" in promise.sentence
    monkeypatch.setenv("TRIPLINE_PUSH_CRASH_POLICIES", '{"webhook": "hold"}')
    (promise,) = promises_in_use(known, PushSettings())
    assert (promise.policy, promise.sentence) == (
        CrashPolicy.HOLD,
        "nothing is sent twice; what is in doubt waits for a person",
    )


def test_a_destination_nobody_knows_is_told_with_its_row(tmp_path: Path) -> None:
    (promise,) = promises_in_use(registry(tmp_path, "a,pigeon,true"), PushSettings())
    assert 'line 2, campaign "a"' in promise.problem


def test_a_policy_that_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_CRASH_POLICIES", '{"webhook": "reconcile"}')
    with pytest.raises(ConfigError, match="cannot be read back"):
        promises_in_use(registry(tmp_path, "a,webhook,true"), PushSettings())


@pytest.mark.parametrize("name", sorted(DESTINATIONS))
def test_every_shipped_destination_promises_something_for_every_policy_it_can_have(name: str, tmp_path: Path) -> None:
    capabilities = Registry(settings=Settings(home=tmp_path)).capabilities(name)
    policies = {CrashPolicy.RESEND, CrashPolicy.HOLD}
    assert set(capabilities.promises) == policies | ({CrashPolicy.RECONCILE} if capabilities.can_reconcile else set())
    assert capabilities.crash_policy in capabilities.promises
