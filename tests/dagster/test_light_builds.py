"""A batch leaves out the seeds and views that are as the project's files say, and only those."""

from __future__ import annotations

import json

import dagster as dg
import pytest

from orchestration import dagster_dbt_run
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.dagster.conftest import BATCH_JOB, drop, run

pytestmark = pytest.mark.xdist_group("dagster")

MARK = "select comment from duckdb_tables() where table_name = 'finished_builds'"


@pytest.fixture
def home(home: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TRIPLINE_LOCK_TIMEOUT_SECONDS", "30")
    return home


class Batches:
    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance, settings: Settings) -> None:
        self._definitions, self._instance, self._settings, self._seed = definitions, instance, settings, 0

    def run(self) -> tuple[bool, set[str]]:
        """Whether one more batch ended well, and what it made."""
        self._seed += 1
        drop(self._settings, events=300, seed=self._seed)
        done = run(self._definitions, self._instance, BATCH_JOB)
        made = [event.asset_key for event in done.get_asset_materialization_events() if event.asset_key]
        return done.success, {key.to_user_string() for key in made}

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with connect(self._settings.warehouse_path) as warehouse:
            return warehouse.execute(statement).fetchall()


@pytest.fixture
def batches(definitions: dg.Definitions, instance: dg.DagsterInstance, home: Settings) -> Batches:
    return Batches(definitions, instance, home)


def test_seeds_and_views_are_made_once_and_again_when_a_file_changed(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    lasting = {"config/settings", "batches/trg_time_on_page", "staging/stg_events"}
    followed = {"triggers/trigger_matches", "triggers/trigger_firings", "triggers/campaign_outbox"}
    whole, light = batches.run(), batches.run()
    assert (whole[0], light[0]) == (True, True)
    assert lasting | followed <= whole[1]
    assert not lasting & light[1] and followed <= light[1]
    assert batches.sql("select count(*) from batches.finished_builds") == [(2,)]

    monkeypatch.setattr(dagster_dbt_run, "project_fingerprint", lambda: "of other files")
    assert lasting <= batches.run()[1]
    assert batches.sql(MARK) == [("of other files",)]


def test_no_test_that_guards_a_decision_is_left_out_with_them(definitions: dg.Definitions) -> None:
    """dbt leaves a test out with whatever it reads."""
    from orchestration.defs.transform import models  # here, because importing it parses the dbt project

    nodes = json.loads(models.PROJECT.manifest_path.read_text())["nodes"]
    guards = [node for node in nodes.values() if node["resource_type"] == "test" and "audit" not in node["tags"]]
    read = {nodes[name]["name"] for guard in guards for name in guard["depends_on"]["nodes"] if name in nodes}
    assert len(guards) > 5
    assert not read & set(models.LASTING)


def test_no_step_is_skipped_for_want_of_what_is_left_out(definitions: dg.Definitions) -> None:
    """Dagster skips whatever depends on an output that a step did not yield."""
    from orchestration.defs.transform import models

    graph = definitions.get_repository_def().asset_graph
    ours = set(models.dbt_models.keys)
    waited_for = {parent for node in graph.asset_nodes if node.key not in ours for parent in node.parent_keys}
    assert "campaign_outbox" in {key.path[-1] for key in waited_for}
    assert not {key.path[-1] for key in waited_for & ours} & set(models.LASTING)
