"""Runs under a real `dagster dev`: as people start, watch and retry them."""

from __future__ import annotations

import pytest

from tests.warm.conftest import FORKED, ORDINARY, SmallDagster

pytestmark = pytest.mark.xdist_group("warm")


def test_a_run_from_the_launchpad_is_forked_and_its_log_says_so(dagster: SmallDagster) -> None:
    run = dagster.ui.ended(dagster.ui.launch("say_job"))
    assert run.status == "SUCCESS"
    assert len(run.said(FORKED)) == 1 and not run.said(ORDINARY)
    assert len(run.said("Started process for run")) == 1
    forked = dagster.idle_template()["history"]["runs"]
    dagster.ui.ended(dagster.ui.launch("say_job"))
    assert dagster.idle_template()["history"]["runs"] == forked + 1


def test_what_a_run_prints_is_in_the_store_that_the_ui_shows(dagster: SmallDagster) -> None:
    run = dagster.ui.ended(dagster.ui.launch("say_job"))
    assert f"printed: {dagster.word()}" in dagster.ui.output(run)


def test_dbt_is_forked_too_and_its_words_reach_the_ui(dagster: SmallDagster) -> None:
    before = dagster.idle_template()["history"]["dbt_commands"]
    run = dagster.run_number()
    assert run.status == "SUCCESS"
    assert f"select {dagster.number()} as number" in dagster.model("number")
    assert dagster.template()["history"]["dbt_commands"] == before + 1
    assert "OK created sql table model main.number" in dagster.ui.output(run)
    assert run.said("Materialized value number")
    dagster.assert_warehouse_is_free()


def test_two_runs_at_once_are_two_forks_of_one_template(dagster: SmallDagster) -> None:
    run_ids = [dagster.ui.launch("wait_job") for _ in range(2)]
    (first, template), (second, other) = [dagster.waiting(run_id) for run_id in run_ids]
    assert first != second
    assert template == other == dagster.template()["pid"]
    assert sorted(dagster.template()["running"]) == sorted(run_ids)
    dagster.signal("go")
    assert [dagster.ui.ended(run_id).status for run_id in run_ids] == ["SUCCESS"] * 2


def test_a_second_code_location_has_a_template_of_its_own(dagster: SmallDagster) -> None:
    dagster.ui.ended(dagster.ui.launch("say_job"))
    run = dagster.ui.ended(dagster.ui.launch("other_job", "second_location"))
    assert run.status == "SUCCESS" and run.said(FORKED)
    assert "printed: elsewhere" in dagster.ui.output(run)
    assert dagster.template("second_location")["pid"] != dagster.template("first_location")["pid"]


def test_a_run_retried_from_its_failure_is_warm_and_repeats_only_what_failed(dagster: SmallDagster) -> None:
    dagster.signal("fail")
    failed = dagster.ui.ended(dagster.ui.launch("halves_job"))
    assert failed.status == "FAILURE" and failed.said(FORKED)
    (dagster.signals / "fail").unlink()
    retried = dagster.ui.ended(dagster.ui.retry(failed.run_id))
    assert retried.status == "SUCCESS" and retried.said(FORKED)
    assert (dagster.signals / "first_half").read_text() == "done\n"


def test_a_run_whose_parent_was_warm_is_found_by_its_own_worker(dagster: SmallDagster) -> None:
    """Dagster gives a retried run the tags of its parent, and one of them says which worker that had."""
    dagster.signal("fail")
    failed = dagster.ui.ended(dagster.ui.launch("halves_job"))
    again = dagster.ui.ended(dagster.ui.retry(failed.run_id))
    assert again.tags["tripline/warm_worker"].startswith(again.run_id)
    assert again.status == "FAILURE", "it was told to fail, not lost"
