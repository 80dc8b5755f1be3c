"""What people see on the asset page."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest

from orchestration.dagster_names import DELIVERIES, OUTBOX, PUBLISHED, RAW_EVENTS
from orchestration.settings import PROJECT_DIR

pytestmark = pytest.mark.xdist_group("dagster")


def ancestors(definitions: dg.Definitions, key: dg.AssetKey) -> set[dg.AssetKey]:
    graph = definitions.get_repository_def().asset_graph
    found: set[dg.AssetKey] = set()
    waiting = [key]
    while waiting:
        new = set(graph.get(waiting.pop()).parent_keys) - found
        found |= new
        waiting += new
    return found


def model_files() -> list[Path]:
    return sorted((PROJECT_DIR / "dbt_project" / "models").rglob("*.sql"))


def test_every_model_is_an_asset_named_after_its_table_in_the_group_of_its_folder(definitions: dg.Definitions) -> None:
    graph = definitions.get_repository_def().asset_graph
    groups = {node.key.path[-1]: node.group_name for node in graph.asset_nodes if len(node.key.path) == 2}
    assert len(model_files()) > 20
    assert {path.stem: groups.get(path.stem) for path in model_files()} == {
        path.stem: path.parent.name for path in model_files()
    }
    assert graph.has(dg.AssetKey(["triggers", "trigger_matches"]))
    assert graph.has(dg.AssetKey(["staging", "stg_events"]))


def test_the_graph_leads_from_the_load_to_the_deliveries_and_to_the_published_tables(
    definitions: dg.Definitions,
) -> None:
    staged = dg.AssetKey(["staging", "stg_events"])
    assert RAW_EVENTS in ancestors(definitions, staged)
    for end in (DELIVERIES, PUBLISHED):
        above = ancestors(definitions, end)
        assert RAW_EVENTS in above
        assert dg.AssetKey(["triggers", "trigger_decisions"]) in above
    assert DELIVERIES not in ancestors(definitions, OUTBOX)


def test_dagster_can_load_all_of_it(definitions: dg.Definitions) -> None:
    definitions.get_repository_def().load_all_definitions()


def test_every_dbt_test_shows_as_a_check_of_an_asset(definitions: dg.Definitions) -> None:
    from orchestration.defs.transform import models  # here, because importing it parses the dbt project

    manifest = json.loads(models.PROJECT.manifest_path.read_text())
    tests = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    graph = definitions.get_repository_def().asset_graph
    assert tests
    assert tests - {key.name for key in graph.asset_check_keys} == set()


def test_the_freshness_of_the_load_and_of_the_firings_is_checked(definitions: dg.Definitions) -> None:
    keys = definitions.get_repository_def().asset_graph.asset_check_keys
    fresh = {key.asset_key.to_user_string() for key in keys if key.name == "freshness_check"}
    assert fresh == {"raw/events", "triggers/trigger_firings"}


def test_schedule_and_sensors_are_on_without_a_click(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    schedules = {one.name: one.default_status.value for one in repository.schedule_defs}
    sensors = {one.name: one.default_status.value for one in repository.sensor_defs}
    assert schedules == {"process_micro_batch_job_schedule": "RUNNING", "audit_tables_job_schedule": "RUNNING"}
    assert set(sensors.values()) == {"RUNNING"}
    assert {"landing_files_waiting_sensor", "firings_waiting_sensor"} <= set(sensors)
    assert repository.get_schedule_def("process_micro_batch_job_schedule").cron_schedule == "* * * * *"


def test_whatever_writes_to_the_warehouse_for_long_takes_its_place_in_one_queue(definitions: dg.Definitions) -> None:
    batch = definitions.get_job_def("process_micro_batch_job")
    pools = {node.name: node.definition.pools for node in batch.graph.nodes if "freshness" not in node.name}
    assert set(pools) == {"load", "dbt_models", "activate__prompt_deliveries", "published__query_tables"}
    assert all(pool == {"warehouse"} for pool in pools.values())
    push = definitions.get_job_def("push_firings_job")
    assert {node.name: node.definition.pools for node in push.graph.nodes} == {
        "triggers__campaign_deliveries": {"push"}
    }
    assert batch.executor_def.name == push.executor_def.name == "in_process"
