"""`tripline check`."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.markup import escape

from orchestration.check import check_project, format_problems, problems_as_json
from orchestration.dbt import compile_triggers
from orchestration.destinations.promises import Promise, promises_in_use
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings


def run(console: Console, *, as_json: bool) -> None:
    """Compiles the triggers in an empty warehouse and checks their SQL, and says what the destinations in use promise.

    Exit code 1 where a rule is broken or a campaign names a destination that cannot be used.
    """
    promises = promises_in_use(Registry(), PushSettings())
    with console.status("compiling the triggers"), compile_triggers() as target:
        problems, models = check_project(target), len(list((target / "compiled").rglob("trg_*.sql")))
    if as_json:
        destinations = [asdict(promise) for promise in promises]
        print(json.dumps({"problems": json.loads(problems_as_json(problems)), "destinations": destinations}))
    elif problems:
        console.print(format_problems(problems))
    else:
        console.print(
            f"{models} triggers: no clock, no reading past the working set, the row contract kept, "
            "the same on DuckDB, Postgres, Spark, Snowflake and BigQuery"
        )
    for promise in [] if as_json else promises:
        _show(console, promise)
    if problems or any(promise.problem for promise in promises):
        raise typer.Exit(1)


def _show(console: Console, promise: Promise) -> None:
    if promise.problem:
        console.print(f"[red]{promise.destination}: {escape(promise.problem)}", highlight=False, soft_wrap=True)
        return
    told = f"{promise.destination}: in doubt, {promise.policy}: {promise.sentence}"
    console.print(escape(told), highlight=False, soft_wrap=True)
