"""One batch and one push, as the jobs run them, on simulated events and a campaign platform that listens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from orchestration.settings import Settings, get_settings
from orchestration.warehouse import connect
from tests.dagster.conftest import AUDIT_JOB, BATCH_JOB, PUSH_JOB, Tick, drop, failure_text, metadata_of, run
from tests.push.conftest import Platform

pytestmark = pytest.mark.xdist_group("dagster")

LOST = "assert_every_event_read_is_accounted_for"


class Done:
    """What a batch on a fresh home left."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
        self.settings = settings
        self.instance = instance
        self.result = result

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.settings.warehouse_path) as warehouse:
            return warehouse.execute(sql).fetchall()


@pytest.fixture(scope="module")
def batch(definitions: dg.Definitions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.local_temp() as instance:
        patch.setenv("TRIPLINE_HOME", str(tmp_path_factory.mktemp("batch")))
        settings = get_settings()
        with drop(settings).open("a") as file:
            file.write("no json at all\n")
        tick = Tick(definitions, instance, "landing_files_waiting_sensor")
        yield Done(settings, instance, run(definitions, instance, BATCH_JOB, tick.tags))


@pytest.fixture(autouse=True)
def home_of_the_batch(batch: Done, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLINE_HOME", str(batch.settings.home))


def test_a_dropped_file_becomes_firings_in_one_run(batch: Done) -> None:
    assert batch.result.success
    assert batch.query("select count(*) from batches.finished_builds") == [(1,)]
    ((fired,),) = batch.query("select count(*) from triggers.trigger_firings")
    assert fired > 0


def test_the_page_of_the_load_accounts_for_every_line(batch: Done) -> None:
    facts = metadata_of(batch.instance, "raw", "events")
    assert facts["rows_read"] == 1_501
    assert facts["rows_read"] == facts["rows_loaded"] + facts["duplicates"] + facts["quarantined"]
    assert facts["quarantined_by_reason"] == {"not_json": 1}
    assert facts["duplicates"] > 0
    assert "UTC" in facts["clock"]
    assert metadata_of(batch.instance, "raw", "quarantined_events")["not_json"] == 1


def test_the_page_of_a_source_says_what_came_of_it_and_how_far_it_is(batch: Done) -> None:
    facts = metadata_of(batch.instance, "sources", "segment")
    whole = metadata_of(batch.instance, "raw", "events")
    assert {name: facts[name] for name in ("rows_read", "rows_loaded", "duplicates", "quarantined")} == {
        name: whole[name] for name in ("rows_read", "rows_loaded", "duplicates", "quarantined")
    }
    ((complete, clock),) = batch.query("select complete_through, clock_at from raw.load_batches")
    assert facts["watermark"] == f"{complete} UTC"
    assert facts["lag_seconds"] == round((clock - complete).total_seconds(), 1)
    assert facts["waiting"] == 0
    assert batch.instance.get_latest_materialization_event(dg.AssetKey(["sources", "site"])) is None


def test_a_source_that_falls_silent_turns_its_check_red_and_only_its_own(
    batch: Done, definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(cursor: str | None = None) -> Any:
        repository = definitions.get_repository_def()
        context = dg.build_sensor_context(batch.instance, cursor=cursor, repository_def=repository)
        return repository.get_sensor_def("source_stalled_sensor").evaluate_tick(context)

    def passed(data: Any) -> dict[str, bool]:
        return {event.asset_key.path[-1]: event.passed for event in data.asset_events}

    fresh = look()
    assert passed(fresh)["segment"] is True and passed(fresh)["site"] is True
    assert look(fresh.cursor).asset_events == [], "nothing changed"
    monkeypatch.setenv("TRIPLINE_STALLED_AFTER_SECONDS", "0.001")
    silent = look(fresh.cursor)
    assert passed(silent) == {"segment": False}
    (told,) = silent.asset_events
    assert "no absence after" in told.description and told.metadata["holds_absences_back"].value is True
    assert "stalled: segment" in silent.skip_message


def test_the_pages_of_matches_and_decisions_say_what_the_tables_say(batch: Done) -> None:
    matched = metadata_of(batch.instance, "triggers", "trigger_matches")
    decided = metadata_of(batch.instance, "triggers", "trigger_decisions")
    fired = metadata_of(batch.instance, "triggers", "trigger_firings")
    by_trigger = "select trigger_name, count(*) from triggers.{} group by all"
    assert matched["matched_by_trigger"] == dict(batch.query(by_trigger.format("trigger_matches")))
    assert fired["fired_by_trigger"] == dict(batch.query(by_trigger.format("trigger_firings")))
    reasons = batch.query("select reason, count(*) from triggers.trigger_decisions where reason is not null group by 1")
    assert decided["suppressed_by_reason"] == dict(reasons)
    assert decided["suppressed"] == sum(decided["suppressed_by_reason"].values())
    assert decided["fired"] == fired["fired"] == sum(fired["fired_by_trigger"].values())


def test_the_page_says_how_far_the_data_reaches_and_why_everything_was_computed(batch: Done) -> None:
    facts = metadata_of(batch.instance, "triggers", "trigger_matches")
    ((watermark, clock),) = batch.query("select watermark_at, clock_at from batches.int_batch__limits")
    assert facts["watermark"] == f"{watermark} UTC"
    assert facts["clock"] == f"{clock} UTC"
    assert facts["lag_seconds"] >= (clock - watermark).total_seconds()
    assert facts["full_reason"] == "the first build"


def test_dbt_tests_are_reported_as_checks_of_the_run(batch: Done) -> None:
    checks = batch.result.get_asset_check_evaluations()
    assert len(checks) > 5
    assert [check.check_name for check in checks if not check.passed] == []


def test_an_audit_finds_a_sound_batch_sound_and_then_says_what_was_lost(
    batch: Done, definitions: dg.Definitions
) -> None:
    in_the_batch = {check.check_name for check in batch.result.get_asset_check_evaluations()}
    sound = run(definitions, batch.instance, AUDIT_JOB)
    assert sound.success
    judged = {check.check_name: check.passed for check in sound.get_asset_check_evaluations()}
    assert LOST in judged and all(judged.values())
    assert not in_the_batch & set(judged)

    with connect(batch.settings.warehouse_path) as warehouse:
        warehouse.execute("create table raw.kept as from raw.quarantined_events")
        warehouse.execute("delete from raw.quarantined_events")
    try:
        damaged = run(definitions, batch.instance, AUDIT_JOB)
    finally:
        with connect(batch.settings.warehouse_path) as warehouse:
            warehouse.execute("insert into raw.quarantined_events from raw.kept; drop table raw.kept")
    assert not damaged.success
    failed = {check.check_name for check in damaged.get_asset_check_evaluations() if not check.passed}
    assert failed == {LOST}
    told = failure_text(batch.instance, damaged.run_id)
    assert LOST in told and "not what the batches should have left" in told


def test_one_audit_is_run_alone_where_a_person_asks_for_it(batch: Done, definitions: dg.Definitions) -> None:
    job = definitions.get_job_def(AUDIT_JOB)
    (key,) = [key for key in job.asset_layer.asset_graph.asset_check_keys if key.name == LOST]
    done = job.get_subset(asset_check_selection={key}).execute_in_process(instance=batch.instance)
    assert [(check.check_name, check.passed) for check in done.get_asset_check_evaluations()] == [(LOST, True)]


def test_the_published_tables_are_those_of_the_batch(batch: Done) -> None:
    facts = metadata_of(batch.instance, "published", "query_tables")
    assert Path(facts["path"]) == batch.settings.published_path
    with duckdb.connect(str(batch.settings.published_path), read_only=True) as published:
        ((shown,),) = published.execute("select count(*) from triggers.trigger_matches").fetchall()
    assert batch.query("select count(*) from triggers.trigger_matches") == [(shown,)]


def test_a_run_leaves_no_copy_of_dbts_artifacts(batch: Done) -> None:
    assert not (batch.settings.dbt_target / "dagster" / "runs" / batch.result.run_id).exists()


def test_after_a_batch_nothing_is_asked_for_until_something_happens(definitions: dg.Definitions, batch: Done) -> None:
    schedule = Tick(definitions, batch.instance, f"{BATCH_JOB}_schedule")
    assert schedule.request is None
    assert "nothing waits" in schedule.skip
    assert "nothing waits" in Tick(definitions, batch.instance, "landing_files_waiting_sensor").skip


def test_the_push_delivers_what_fired_and_then_has_nothing_to_do(
    definitions: dg.Definitions, batch: Done, platform: Platform
) -> None:
    ((fired,),) = batch.query("select count(*) from triggers.campaign_outbox")
    tick = Tick(definitions, batch.instance, "firings_waiting_sensor")
    result = run(definitions, batch.instance, PUSH_JOB, tick.tags)
    assert result.success
    facts = metadata_of(batch.instance, "triggers", "campaign_deliveries")
    assert (facts["sent"], facts["rejected"], facts["failed"], facts["unknown"]) == (fired, 0, 0, 0)
    assert len(platform.received()["effects"]) == fired
    assert "settled" in Tick(definitions, batch.instance, "firings_waiting_sensor").skip
    with duckdb.connect(str(batch.settings.published_path), read_only=True) as published:
        statuses = published.execute("select distinct status from triggers.campaign_deliveries order by 1").fetchall()
    assert ("delivered",) in statuses
