"""`tripline check`."""

from __future__ import annotations

import typer
from rich.console import Console

from orchestration.check import check_project, format_problems, problems_as_json
from orchestration.dbt import compile_triggers


def run(console: Console, *, as_json: bool) -> None:
    """Compiles the triggers in an empty warehouse and checks their SQL. Exit code 1 where a rule is broken."""
    with console.status("compiling the triggers"), compile_triggers() as target:
        problems, models = check_project(target), len(list((target / "compiled").rglob("trg_*.sql")))
    if as_json:
        print(problems_as_json(problems))
    elif problems:
        console.print(format_problems(problems))
    else:
        console.print(
            f"{models} triggers: no clock, no reading past the working set, the row contract kept, "
            "the same on DuckDB, Postgres, Spark, Snowflake and BigQuery"
        )
    if problems:
        raise typer.Exit(1)
