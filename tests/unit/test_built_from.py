"""The mark that lets a batch leave out seeds and views: it must go whenever one of them may be of other files."""

from __future__ import annotations

from pathlib import Path

import pytest

import orchestration.dbt
from orchestration.dbt import invoke
from orchestration.warehouse import connect
from tests.replay.harness import copy_project
from tests.unit.conftest import WITHOUT_UNIT_TESTS, failures, make_warehouse

MARK = "select comment from duckdb_tables() where table_name = 'finished_builds'"


def test_the_mark_stays_through_light_builds_and_goes_with_failures_and_with_whatever_is_done_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = make_warehouse(tmp_path, events=60, files=1)
    warehouse.load_next()

    def mark() -> object:
        with connect(warehouse.settings.warehouse_path) as connection:
            return connection.execute(MARK).fetchall()[0][0]

    def build(*options: str, of: str) -> None:
        monkeypatch.setenv("TRIPLINE_BUILT_FROM", of)
        assert failures(warehouse.build(*WITHOUT_UNIT_TESTS, "--exclude-resource-type", "test", *options)) == []

    build(of="a")
    assert mark() == "a"
    build("--exclude", "resource_type:seed", "trg_time_on_page", of="a")
    assert mark() == "a"
    build("--select", "settings", of="b")
    assert mark() is None, "a seed is of other files than the rest"
    build(of="b")
    assert mark() == "b"
    monkeypatch.delenv("TRIPLINE_BUILT_FROM")
    assert invoke(warehouse.settings, ["seed", "--select", "settings"]).success
    assert mark() is None, "nobody knows of which files that seed is"
    build(of="b")
    with connect(warehouse.settings.warehouse_path) as connection:
        connection.execute("drop view batches.trg_time_on_page")
    assert not invoke(warehouse.settings, ["build", "--select", "trigger_matches"]).success
    assert mark() is None, "maybe for want of a view"


def test_a_batch_by_hand_makes_seeds_and_views_anew_only_where_a_file_changed(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project", {})
    warehouse = make_warehouse(tmp_path, events=60, files=1)
    warehouse.load_next()

    def nodes_made() -> int:
        return orchestration.dbt.build(warehouse.settings, project_dir=project.dbt_dir).statuses["success"]

    whole = nodes_made()
    light = nodes_made()
    assert light < whole - 15
    seed = project.path / "seeds" / "settings.csv"
    seed.write_text(seed.read_text().replace("frequency_cap_firings,", "frequency_cap_firings,1"))
    assert nodes_made() == whole
    with connect(warehouse.settings.warehouse_path) as connection:
        ((value,),) = connection.execute(
            "select value from config.settings where setting = 'frequency_cap_firings'"
        ).fetchall()
    assert value.startswith("1")
    assert nodes_made() == light
