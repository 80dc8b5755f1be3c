"""However a run ends, Dagster says so, and the warehouse is free for the next one."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import psutil
import pytest

from tests.warm.conftest import FORKED, ORDINARY, SmallDagster
from tests.warm.ui import within

pytestmark = pytest.mark.xdist_group("warm")


def test_a_run_that_waits_in_python_ends_when_somebody_terminates_it(dagster: SmallDagster) -> None:
    run_id = dagster.ui.launch("wait_job")
    pid, _ = dagster.waiting(run_id)
    assert dagster.ui.terminate(run_id) == "TerminateRunSuccess"
    assert dagster.ui.ended(run_id, seconds=10).status == "CANCELED"
    within(10, lambda: not psutil.pid_exists(pid), "the end of its process")


def test_a_run_terminated_inside_dbt_lets_go_of_the_warehouse(dagster: SmallDagster) -> None:
    run_id = dagster.ui.launch("endless_job")
    dbt = dagster.holder_of_warehouse()
    assert dbt.ppid() == dagster.template()["pid"], "this dbt is no fork of the template"
    assert dagster.ui.terminate(run_id) == "TerminateRunSuccess"
    assert dagster.ui.ended(run_id, seconds=20).status == "CANCELED"
    dagster.assert_warehouse_is_free()
    assert dagster.run_number().status == "SUCCESS"


def test_a_run_whose_process_is_killed_has_failed_within_seconds(dagster: SmallDagster) -> None:
    run_id = dagster.ui.launch("wait_job")
    pid, _ = dagster.waiting(run_id)
    os.kill(pid, signal.SIGKILL)
    run = dagster.ui.ended(run_id, seconds=10)
    assert run.status == "FAILURE"
    assert run.said("ended unexpectedly (by signal SIGKILL)")


def test_a_run_killed_while_dbt_works_leaves_no_dbt_behind(dagster: SmallDagster) -> None:
    run_id = dagster.ui.launch("endless_job")
    dbt = dagster.holder_of_warehouse()
    os.kill(int(dagster.ui.run(run_id).said(FORKED)[0].split("pid ")[1].rstrip(")")), signal.SIGKILL)
    assert dagster.ui.ended(run_id, seconds=20).status == "FAILURE"
    assert not psutil.pid_exists(dbt.pid), "the run is told as ended, and its dbt goes on"
    dagster.assert_warehouse_is_free()


def test_a_run_whose_dbt_is_killed_fails_and_the_next_one_works(dagster: SmallDagster) -> None:
    run_id = dagster.ui.launch("endless_job")
    dagster.holder_of_warehouse().kill()
    assert dagster.ui.ended(run_id, seconds=20).status == "FAILURE"
    assert dagster.run_number().status == "SUCCESS"


def test_runs_end_with_a_template_that_is_killed_and_the_next_one_has_a_new_template(dagster: SmallDagster) -> None:
    run_id = dagster.ui.launch("wait_job")
    pid, template = dagster.waiting(run_id)
    os.kill(template, signal.SIGKILL)
    assert dagster.ui.ended(run_id, seconds=20).status == "FAILURE"
    within(10, lambda: not psutil.pid_exists(pid), "the end of its process")
    run = dagster.ui.ended(dagster.ui.launch("say_job"))
    assert run.status == "SUCCESS" and run.said(FORKED)
    assert dagster.template()["pid"] != template


def test_a_template_killed_while_dbt_works_leaves_the_warehouse_free(dagster: SmallDagster) -> None:
    run_id = dagster.ui.launch("endless_job")
    dbt = dagster.holder_of_warehouse()
    os.kill(dbt.ppid(), signal.SIGKILL)
    assert dagster.ui.ended(run_id, seconds=30).status == "FAILURE"
    within(10, lambda: not psutil.pid_exists(dbt.pid), "the end of dbt")
    assert dagster.run_number().status == "SUCCESS"


def test_a_run_whose_template_is_gone_can_still_be_terminated(dagster: SmallDagster) -> None:
    run_id = dagster.ui.launch("wait_job")
    pid, template = dagster.waiting(run_id)
    os.kill(pid, signal.SIGSTOP)  # so that it cannot tell how it ended
    os.kill(template, signal.SIGKILL)
    answer = dagster.ui.terminate(run_id)
    run = dagster.ui.ended(run_id, seconds=20)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    # On a busy machine the run monitoring, which looks every two seconds here, finds it gone before it is terminated.
    expected = ("CANCELED", "TerminateRunSuccess") if not run.said("its process is gone") else ("FAILURE", answer)
    assert (run.status, answer) == expected


def test_a_run_that_went_the_ordinary_way_is_looked_after_by_its_server_and_not_by_the_template(
    dagster: SmallDagster,
) -> None:
    """The template does not know it; by its word, run monitoring would fail a healthy run that holds the warehouse."""
    before = dagster.ui.launch("wait_job")
    dagster.waiting(before)
    (dagster.project / "words.py").write_text('WORD = "while a run was under way"\n')
    run_id = dagster.ui.launch("wait_job")
    dagster.waiting(run_id)
    assert dagster.ui.run(run_id).said(ORDINARY)
    within(30, lambda: dagster.log_text().count(f"Checking run {run_id}") >= 4, "four looks of the run monitoring")
    assert dagster.ui.run(run_id).status == "STARTED"
    assert dagster.ui.terminate(run_id) == "TerminateRunSuccess"
    assert dagster.ui.ended(run_id, seconds=20).status == "CANCELED"
    assert dagster.ui.run(before).status == "STARTED"


def test_a_run_whose_launch_was_not_answered_runs_once(dagster: SmallDagster) -> None:
    dagster.signal("lose the answer")
    run = dagster.ui.ended(dagster.ui.launch("say_job"))
    assert run.status == "SUCCESS"
    assert (dagster.signals / "said").read_text() == f"{dagster.word()}\n"
    assert len(run.said("Started process for run")) == 1


def test_a_run_whose_template_died_at_the_launch_is_not_started_again(dagster: SmallDagster) -> None:
    dagster.signal("lose the template")
    run = dagster.ui.ended(dagster.ui.launch("wait_job"))
    assert run.status == "FAILURE"
    assert run.said("may have begun")
    assert len(run.said("Started process for run")) <= 1
    assert dagster.ui.ended(dagster.ui.launch("say_job")).said(FORKED)
