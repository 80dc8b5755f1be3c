"""Ctrl-C in the middle of a run. Stands last in this folder, since the others would have to start Dagster again."""

from __future__ import annotations

import sqlite3

import pytest

from tests.warm.conftest import SmallDagster
from tests.warm.ui import within

pytestmark = pytest.mark.xdist_group("warm")


def status_in_storage(dagster: SmallDagster, run_id: str) -> str:
    with sqlite3.connect(dagster.settings.dagster_path / "history" / "runs.db") as runs:
        return str(runs.execute("select status from runs where run_id = ?", [run_id]).fetchone()[0])


def test_ctrl_c_in_the_middle_of_runs_ends_every_process_and_says_that_they_failed(dagster: SmallDagster) -> None:
    waits, builds = dagster.ui.launch("wait_job"), dagster.ui.launch("endless_job")
    dagster.waiting(waits)
    dagster.holder_of_warehouse()
    dagster.interrupt()
    # 3 s in which a launcher could have come back, then the runs are asked to end.
    within(30, lambda: not dagster.processes(), "the end of every process")
    assert [status_in_storage(dagster, run_id) for run_id in (waits, builds)] == ["FAILURE", "FAILURE"]
    dagster.assert_warehouse_is_free()
