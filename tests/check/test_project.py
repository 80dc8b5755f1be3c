"""The check over what dbt compiled, and how its answer is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestration.check import ROW_CONTRACT, Problem, check_project, format_problems, problems_as_json
from orchestration.errors import ConfigError

GOOD = f"select {', '.join(f'1 as {column}' for column in ROW_CONTRACT)} from wh.batches.int_batch__events"


def model(name: str, sql: str | None, folder: str = "triggers") -> dict[str, Any]:
    return {
        "name": name,
        "resource_type": "model",
        "package_name": "tripline",
        "original_file_path": f"models/{folder}/{name}.sql",
        "compiled_code": sql,
        "columns": {},
    }


def write_manifest(target: Path, *models: dict[str, Any]) -> Path:
    path = target / "manifest.json"
    path.write_text(json.dumps({"nodes": {f"model.tripline.{one['name']}": one for one in models}}))
    return path


def test_every_trigger_is_checked_and_other_models_are_not(tmp_path: Path) -> None:
    write_manifest(
        tmp_path,
        model("trg_b", GOOD.replace("1 as variant", "now() as variant")),
        model("trg_a", GOOD),
        model("trg_c", GOOD.replace("batches.int_batch__events", "raw.events")),
        model("stg_events", "select now() from raw.events", "staging"),
    )
    assert [(problem.model, problem.rule) for problem in check_project(tmp_path)] == [
        ("trg_b", "clock_or_random"),
        ("trg_b", "not_portable"),
        ("trg_c", "reads_past_working_set"),
    ]
    assert check_project(tmp_path) == check_project(tmp_path / "manifest.json")


def test_a_manifest_without_compiled_code_is_completed_from_the_compiled_folder(tmp_path: Path) -> None:
    write_manifest(tmp_path, model("trg_a", None))
    compiled = tmp_path / "compiled" / "tripline" / "models" / "triggers" / "trg_a.sql"
    compiled.parent.mkdir(parents=True)
    compiled.write_text(GOOD + " limit 1")
    assert [problem.rule for problem in check_project(tmp_path)] == ["ordering_not_unique"]


def test_the_columns_that_the_working_set_declares_are_known_to_the_check() -> None:
    events = model("int_batch__events", None, "batches") | {"columns": {column: {} for column in ROW_CONTRACT}}
    trigger = model("trg_a", "select * from int_batch__events")
    assert check_project({"nodes": {"e": events, "a": trigger}}) == []
    assert [problem.rule for problem in check_project({"nodes": {"a": trigger}})] == ["row_contract"]


@pytest.mark.parametrize("content", [None, "{", '{"nodes": {}}'])
def test_nothing_compiled_is_an_error_that_says_what_to_run(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ConfigError, match="dbt compile"):
        check_project(tmp_path)


def test_a_trigger_without_compiled_sql_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_manifest(tmp_path, model("trg_a", None))
    with pytest.raises(ConfigError, match="trg_a"):
        check_project(tmp_path)


def test_problems_are_shown_whole_to_people_and_to_programs() -> None:
    problems = [
        Problem("trg_b", 3, "not_portable", "a[1] is [bold]no[/bold] markup"),
        Problem("trg_a", 0, "row_contract", "x"),
    ]
    console = Console(width=120, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(format_problems(problems))
    shown = capture.get()
    assert "a[1] is [bold]no[/bold] markup" in shown
    assert "2 problems" in shown
    assert [row["model"] for row in json.loads(problems_as_json(problems))] == ["trg_a", "trg_b"]
    assert json.loads(problems_as_json(problems))[1]["line"] == 3
