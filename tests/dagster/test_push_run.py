"""The push as Dagster shows it: each destination by itself, and an alarm for those that do not keep up."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from orchestration.settings import Settings
from tests.dagster.conftest import PUSH_JOB, Tick, metadata_of, run
from tests.destinations.case_rest import BATCH, ShopApi
from tests.destinations.server import ScriptedServer
from tests.push.conftest import Platform, Shop
from tests.streams.mock_cluster import PRODUCE, MockCluster

pytestmark = pytest.mark.xdist_group("dagster")
TAG = "tripline/destination"
NOT_LEADER = 6  # Kafka's code


@pytest.fixture
def api(shop: Shop, home: Settings, monkeypatch: pytest.MonkeyPatch):
    with ScriptedServer(ShopApi()) as server:
        BATCH.write_files(home.home, server.url)
        for name, value in {**BATCH.environment(server.url), "TRIPLINE_PUSH_ATTEMPTS": "1"}.items():
            monkeypatch.setenv(name, value)
        shop.add_campaign("by_mail", BATCH.name)
        shop.run(
            "insert into raw.load_batches by name select 1 as batch_id, 'segment' as source_name, "
            "timestamp '2026-11-01 10:00:00' as clock_at, false as is_replay, 0 as files, 0 as events_read, "
            "0 as events_loaded, 0 as events_duplicate, 0 as events_quarantined, 0 as events_superseded, "
            "now() as started_at, now() as finished_at"
        )
        yield server


def fire_for_both(shop: Shop) -> None:
    shop.know("u2", email="u2@example.com")
    shop.know("u3", email="u3@example.com")
    shop.fire(2)
    shop.fire(2, first=2, campaign="by_mail")


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (check,) = result.get_asset_check_evaluations()
    return check


def test_a_run_shows_each_destination_by_itself(
    shop: Shop, definitions: dg.Definitions, instance: dg.DagsterInstance, platform: Platform, api: ScriptedServer
) -> None:
    fire_for_both(shop)
    result = run(definitions, instance, PUSH_JOB)
    facts = metadata_of(instance, "triggers", "campaign_deliveries")
    assert (facts["webhook: sent"], facts["shop_api: sent"], facts["sent"]) == (2, 2, 4)
    assert (facts["webhook: rejected"], facts["webhook: retried"]) == (0, 0)
    assert facts["shop_api: p95 latency, s"] > 0 and facts["shop_api: limiter wait, s"] >= 0
    assert instance.get_run_by_id(result.run_id).tags["tripline/destinations"] == "shop_api, webhook"
    assert check_of(result).passed


def test_a_run_shows_what_went_into_a_topic_as_it_shows_requests(
    shop: Shop, definitions: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.add_campaign("into_a_topic", "kafka")
    shop.fire(3, campaign="into_a_topic")
    with MockCluster() as cluster:
        cluster.tell("topic", "firings", 1)
        cluster.tell("errors", PRODUCE, NOT_LEADER, 1)
        monkeypatch.setenv("TRIPLINE_KAFKA_BROKERS", cluster.brokers)
        monkeypatch.setenv("TRIPLINE_KAFKA_TOPIC", "firings")
        result = run(definitions, instance, PUSH_JOB)
    facts = metadata_of(instance, "triggers", "campaign_deliveries")
    assert (facts["kafka: sent"], facts["kafka: rejected"], facts["kafka: retried"]) == (3, 0, 3)
    assert facts["kafka: limiter wait, s"] == 0 and facts["kafka: p95 latency, s"] > 0
    assert instance.get_run_by_id(result.run_id).tags["tripline/destinations"] == "kafka"
    assert check_of(result).passed


@pytest.mark.parametrize("by", ["tag", "config"])
def test_a_person_can_push_one_destination_again(
    shop: Shop,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    api: ScriptedServer,
    by: str,
) -> None:
    fire_for_both(shop)
    if by == "tag":
        run(definitions, instance, PUSH_JOB, {TAG: "shop_api"})
    else:
        config = {"ops": {"triggers__campaign_deliveries": {"config": {"destination": "shop_api"}}}}
        definitions.resolve_job_def(PUSH_JOB).execute_in_process(instance=instance, run_config=config)
    assert len(api.effects) == 2
    assert platform.received()["effects"] == []


def test_a_destination_that_fails_for_long_fails_the_check_though_the_run_does_not(
    shop: Shop, definitions: dg.Definitions, instance: dg.DagsterInstance, platform: Platform, api: ScriptedServer
) -> None:
    fire_for_both(shop)
    api.is_down = True
    assert check_of(run(definitions, instance, PUSH_JOB)).passed, "it has only begun"
    shop.age_log(3_700)
    result = run(definitions, instance, PUSH_JOB)
    assert result.success
    check = check_of(result)
    assert not check.passed
    assert "shop_api: nothing arrived for 37" in check.description and "webhook" not in check.description


def test_firings_that_wait_unsent_for_long_fail_the_check(
    shop: Shop, definitions: dg.Definitions, instance: dg.DagsterInstance, platform: Platform, api: ScriptedServer
) -> None:
    fire_for_both(shop)
    shop.run("update raw.load_batches set clock_at = timestamp '2026-11-01 12:00:00'")
    result = run(definitions, instance, PUSH_JOB, {TAG: "shop_api"})
    assert not check_of(result).passed
    assert check_of(result).description.startswith("webhook: 2 rows unsent")


def test_the_check_is_told_even_where_the_run_fails(
    shop: Shop,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    api: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fire_for_both(shop)
    monkeypatch.setenv("SHOP_API_TOKEN", "canary-rest-other")
    result = run(definitions, instance, PUSH_JOB)
    assert not result.success
    assert check_of(result).check_name == "destinations_keep_up"
    assert len(platform.received()["effects"]) == 2, "the other destination was served"


def test_no_secret_reaches_dagsters_pages(
    shop: Shop,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    api: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from tests.destinations.server import fail

    fire_for_both(shop)
    api.then(fail(400, echo=True), fail(500, echo=True))
    run(definitions, instance, PUSH_JOB)
    monkeypatch.setenv("SHOP_API_TOKEN", "canary-rest-other")
    shop.age_log(3_600)
    result = run(definitions, instance, PUSH_JOB)
    pages = "".join(repr(log) for one in instance.get_runs() for log in instance.all_logs(one.run_id))
    assert not result.success and "refuses everything" in pages
    assert "canary-rest" not in pages + str(metadata_of(instance, "triggers", "campaign_deliveries"))


def test_a_destination_that_rests_wakes_no_sensor(
    shop: Shop,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    platform: Platform,
    api: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_BREAKER_FAILURES", "1")
    monkeypatch.setenv("TRIPLINE_PUSH_RETRY_SECONDS", "0")
    fire_for_both(shop)
    api.is_down = True
    first = Tick(definitions, instance, "firings_waiting_sensor").key
    run(definitions, instance, PUSH_JOB)
    assert Tick(definitions, instance, "firings_waiting_sensor").request is None
    shop.age_log(3_600)
    assert Tick(definitions, instance, "firings_waiting_sensor").key not in (None, first)
