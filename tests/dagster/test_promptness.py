"""How soon something is asked for and sent: ticks that wait for it, and the push that is part of the batch."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.dagster_names import PROMPT_DELIVERIES
from orchestration.settings import Settings
from tests.dagster.conftest import BATCH_JOB, Tick, drop, metadata_of
from tests.destinations.case_rest import BATCH, ShopApi
from tests.destinations.server import ScriptedServer
from tests.push.conftest import Platform, Shop

pytestmark = pytest.mark.xdist_group("dagster")

LANDING, FIRINGS = "landing_files_waiting_sensor", "firings_waiting_sensor"
FIRE = "import sys, pathlib; from tests.push.conftest import Shop; Shop(pathlib.Path(sys.argv[1])).fire(1)"


@pytest.fixture
def patience(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLINE_DAGSTER_TICK_PATIENCE_SECONDS", "30")
    monkeypatch.setenv("TRIPLINE_DAGSTER_TICK_WAIT_SECONDS", "5")


def send_at_once(definitions: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """The step of a batch that sends, without the steps before it."""
    job = definitions.get_job_def(BATCH_JOB)
    return job.execute_in_process(instance=instance, asset_selection=[PROMPT_DELIVERIES], raise_on_error=False)


def test_a_file_that_comes_while_a_tick_waits_is_asked_for_in_that_tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, home: Settings, patience: None
) -> None:
    dropping = threading.Timer(0.5, drop, [home])
    dropping.start()
    tick = Tick(definitions, instance, LANDING)
    dropping.join()
    assert tick.request is not None


def test_a_firing_that_comes_while_a_tick_waits_is_asked_for_in_that_tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, home: Settings, patience: None
) -> None:
    with subprocess.Popen([sys.executable, "-c", FIRE, str(home.warehouse_path)]) as firing:
        tick = Tick(definitions, instance, FIRINGS)
    assert firing.returncode == 0
    assert tick.request is not None


def test_a_batch_sends_what_it_fired_itself_and_leaves_the_sensor_nothing(
    definitions: dg.Definitions, instance: dg.DagsterInstance, shop: Shop, platform: Platform
) -> None:
    shop.fire(3)
    assert send_at_once(definitions, instance).success
    assert shop.final() == {"delivered": 3}
    assert len(platform.received()["effects"]) == 3
    assert metadata_of(instance, "triggers", "campaign_deliveries")["webhook: sent"] == 3
    assert "settled" in Tick(definitions, instance, FIRINGS).skip


def test_a_batch_that_cannot_send_succeeds_and_the_sensor_asks_for_a_push(
    definitions: dg.Definitions, instance: dg.DagsterInstance, shop: Shop
) -> None:
    shop.fire(2)  # nobody said where the webhook is
    assert send_at_once(definitions, instance).success
    assert shop.statuses() == []
    assert "TRIPLINE_WEBHOOK_URL" in str(metadata_of(instance, *PROMPT_DELIVERIES.path)["problems"])
    assert Tick(definitions, instance, FIRINGS).request is not None


def test_a_batch_that_shall_not_send_leaves_everything_to_the_sensor(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    shop: Shop,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIPLINE_DAGSTER_PROMPT_PUSH_SECONDS", "0")
    shop.fire(2)
    assert send_at_once(definitions, instance).success
    assert shop.statuses() == []
    assert Tick(definitions, instance, FIRINGS).request is not None


@pytest.fixture
def dead_api(shop: Shop, home: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    with ScriptedServer(ShopApi()) as server:
        BATCH.write_files(home.home, server.url)
        for name, value in {**BATCH.environment(server.url), "TRIPLINE_PUSH_ATTEMPTS": "1"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TRIPLINE_PUSH_RETRY_SECONDS", "0")
        shop.add_campaign("by_mail", BATCH.name)
        server.is_down = True
        yield server


def test_a_destination_that_failed_holds_up_no_batch_and_the_others_are_served(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    shop: Shop,
    platform: Platform,
    dead_api: ScriptedServer,
) -> None:
    shop.know("u0", email="u0@example.com")
    shop.fire(1, campaign="by_mail")
    assert send_at_once(definitions, instance).success
    asked = len(dead_api.seen)
    assert asked == 1
    shop.fire(2, first=1)
    assert send_at_once(definitions, instance).success
    assert len(dead_api.seen) == asked
    assert shop.final() == {"failed": 1, "delivered": 2}
    assert Tick(definitions, instance, FIRINGS).request is not None, "what failed is the sensor's"
