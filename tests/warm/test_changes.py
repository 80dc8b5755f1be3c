"""A run does what the files say when it starts, as a process of its own would."""

from __future__ import annotations

import pytest

from tests.warm.conftest import FORKED, ORDINARY, SmallDagster
from tests.warm.ui import within

pytestmark = pytest.mark.xdist_group("warm")


def edit_model(dagster: SmallDagster, number: int) -> None:
    assert f"select {number} " not in dagster.model("number")
    (dagster.project / "models" / "number.sql").write_text(f"select {number} as number\n")


def test_a_model_edited_between_two_runs_is_what_the_second_builds(dagster: SmallDagster) -> None:
    assert dagster.run_number().status == "SUCCESS"
    edit_model(dagster, 2)
    run = dagster.run_number()
    assert run.status == "SUCCESS" and run.said(FORKED)
    assert dagster.number() == 2
    assert "number.sql" in dagster.template()["history"]["last_reload_why"]


def test_a_model_edited_while_a_run_is_under_way_is_what_the_next_run_builds(dagster: SmallDagster) -> None:
    under_way = dagster.ui.launch("wait_job")
    dagster.waiting(under_way)
    edit_model(dagster, 3)
    run = dagster.run_number()
    assert run.status == "SUCCESS"
    assert dagster.number() == 3
    assert "number.sql changed while another run is under way" in run.said(ORDINARY)[0]
    dagster.signal("go")
    assert dagster.ui.ended(under_way).status == "SUCCESS", "it was not disturbed"


def test_code_edited_between_two_runs_is_what_the_second_does(dagster: SmallDagster) -> None:
    dagster.ui.ended(dagster.ui.launch("say_job"))
    before = dagster.word()
    (dagster.project / "words.py").write_text('WORD = "changed"\n')
    run = dagster.ui.ended(dagster.ui.launch("say_job"))
    assert run.said(FORKED)
    assert (dagster.signals / "said").read_text() == f"{before}\nchanged\n"


def test_definitions_that_are_broken_fail_the_run_with_their_error_and_mended_ones_are_warm_again(
    dagster: SmallDagster,
) -> None:
    dagster.template()
    good = (dagster.project / "words.py").read_text()
    (dagster.project / "words.py").write_text("WORD = nonsense\n")
    run = dagster.ui.ended(dagster.ui.launch("say_job"))
    assert run.status == "FAILURE"
    assert "name 'nonsense' is not defined" in run.said(ORDINARY)[0]
    (dagster.project / "words.py").write_text(good)
    mended = dagster.ui.ended(dagster.ui.launch("say_job"))
    assert mended.status == "SUCCESS" and mended.said(FORKED)


def test_an_idle_template_loads_changed_files_before_anybody_asks(dagster: SmallDagster) -> None:
    dagster.ui.ended(dagster.ui.launch("say_job"))
    before = dagster.idle_template()["history"]["reloads"]
    edit_model(dagster, 4)

    def look() -> bool:
        told = dagster.templates().get("first_location")
        return bool(told) and told["history"]["reloads"] > before

    within(30, look, "a reload")


def test_dbt_that_finds_a_model_changed_since_its_run_began_reads_it_itself(dagster: SmallDagster) -> None:
    """The template cannot load anew while it has children, and what it holds would build the old model."""
    dagster.signal("hold dbt")
    run_id = dagster.ui.launch("number_job")
    within(60, lambda: (dagster.signals / "before_dbt").exists(), "the run's beginning")
    edit_model(dagster, 5)
    (dagster.signals / "hold dbt").unlink()
    run = dagster.ui.ended(run_id)
    assert run.status == "SUCCESS"
    assert dagster.number() == 5
    assert "dbt runs in a process of its own: dbt build" in dagster.ui.output(run)
