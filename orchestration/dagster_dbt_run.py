"""One `dbt build` inside a Dagster run: its events with what a person wants to know, its errors with what to do."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DbtCliInvocation, DbtCliResource

from orchestration.dagster_names import FIRINGS, failure
from orchestration.dbt_manifest import dagster_target, project_fingerprint
from orchestration.errors import BuildFailed, ConfigError, TriplineError, WarehouseLocked
from orchestration.seed_files import assert_readable_seeds
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.ticks import PROJECT_TAG
from orchestration.warehouse import connect, read_sql

# Unit tests want a throw-away warehouse: some of them write to the tables they test.
BUILD = ["build", "--exclude-resource-type", "unit_test"]
LOCK_WORDS = ("Could not set lock", "Conflicting lock")
KEPT_FAILURES = 5

Facts = dict[str, Any]


def build_models(context: dg.AssetExecutionContext, dbt: DbtCliResource, settings: Settings) -> Iterator[Any]:
    """dbt's events, as they come up to the first model that MEASURED names. The figures for those can be read only
    when dbt has let go of the warehouse, and Dagster takes outputs in the order of the graph, so the rest comes then.
    Raises Failure with dbt's own words; what was built before the error is materialized."""
    # Taken before dbt reads the files: what changes meanwhile is a change since this run.
    context.instance.add_run_tags(context.run.run_id, {PROJECT_TAG: project_fingerprint()})
    held: list[Any] = []
    problem: TriplineError | None = None
    try:
        for event in _events_of_build(context, dbt, settings):
            if held or _is_measured(event):
                held.append(event)
            else:
                yield event
    except TriplineError as error:
        problem = error
    yield from _with_figures(held, settings)
    if problem:
        raise failure(problem) from problem


def _is_measured(event: object) -> bool:
    return isinstance(event, dg.Output) and event.output_name in MEASURED


def _with_figures(held: list[Any], settings: Settings) -> Iterator[Any]:
    measured = [event.output_name for event in held if _is_measured(event)]
    figures: dict[str, Facts] = {}
    if measured:
        with connect(settings.warehouse_path, read_only=True, wait_seconds=settings.lock_timeout_seconds) as warehouse:
            figures = {name: MEASURED[name](warehouse) for name in measured}
    for event in held:
        yield event.with_metadata({**event.metadata, **figures[event.output_name]}) if _is_measured(event) else event


def _events_of_build(context: dg.AssetExecutionContext, dbt: DbtCliResource, settings: Settings) -> Iterator[Any]:
    """Starts dbt again while a tick or a push is in its way: their hold is short, and nothing was built yet."""
    assert_readable_seeds(PROJECT_DIR / "seeds")
    deadline = time.monotonic() + settings.lock_timeout_seconds
    with _run_folder(context, settings) as folder, _warehouse_in_environment(settings):
        while True:
            with connect(settings.warehouse_path, wait_seconds=max(0.0, deadline - time.monotonic())):
                pass  # free at this moment, with its tables; closed again before dbt opens it
            started = dbt.cli(BUILD, context=context, target_path=folder, raise_on_error=False)
            seen = 0
            for event in started.stream():
                seen += 1
                yield event
            if started.is_successful():
                return
            problem = _problem_of(started)
            if seen or not isinstance(problem, WarehouseLocked) or time.monotonic() >= deadline:
                raise problem
            context.log.info("the warehouse was busy when dbt opened it; starting dbt again")


def _problem_of(ended: DbtCliInvocation) -> TriplineError:
    errors = []
    if (ended.target_path / "run_results.json").exists():
        for result in ended.get_artifact("run_results.json")["results"]:
            if result["status"] in ("error", "fail", "runtime error"):
                errors.append(f"{result['unique_id']}: {result['message']}")
    text = "\n".join(errors) or str(ended.get_error())
    if any(words in text for words in LOCK_WORDS):
        return WarehouseLocked(
            "dbt could not open the warehouse: another process holds it",
            "close what holds it; `tripline doctor` names the process. To query, open the published database",
        )
    if "Nothing was built" in text:
        told = text[text.index("Nothing was built") :].split("\n\n")[0].split("> in macro")[0].rstrip()
        return ConfigError(told, "mend the rows; the next batch catches up")
    return BuildFailed(
        f"dbt could not build everything:\n{text}",
        "nothing is lost: the next batch builds from where the last whole build ended. "
        "Mend what the text names; the log of this step is dbt's own",
    )


@contextmanager
def _run_folder(context: dg.AssetExecutionContext, settings: Settings) -> Iterator[Path]:
    """dbt's artifacts of this run: kept where it failed, the last few of them."""
    runs = dagster_target(settings) / "runs"
    folder = runs / context.run.run_id
    folder.mkdir(parents=True, exist_ok=True)
    parsed = dagster_target(settings) / "partial_parse.msgpack"
    if parsed.exists():
        shutil.copy(parsed, folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    failed = sorted(runs.iterdir(), key=lambda path: (path.stat().st_mtime, path.name))
    for old in failed[:-KEPT_FAILURES]:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _warehouse_in_environment(settings: Settings) -> Iterator[None]:
    before = os.environ.get("TRIPLINE_WAREHOUSE")
    os.environ["TRIPLINE_WAREHOUSE"] = str(settings.warehouse_path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TRIPLINE_WAREHOUSE"]
        else:
            os.environ["TRIPLINE_WAREHOUSE"] = before


def _limits(warehouse: duckdb.DuckDBPyConnection) -> Facts:
    row = warehouse.execute(read_sql("dagster_limits")).fetchone()
    assert row is not None
    batch_id, clock_at, watermark_at, full_reason, config_version = row
    facts: Facts = {"batch": batch_id, "clock": f"{clock_at} UTC", "config_version": config_version}
    if watermark_at is not None:
        lag = datetime.now(UTC).replace(tzinfo=None) - watermark_at
        # How old the data is that absences are decided on; data time, so it grows while nothing is loaded.
        facts |= {"watermark": f"{watermark_at} UTC", "lag_seconds": round(lag.total_seconds(), 1)}
    if full_reason:
        facts["full_reason"] = full_reason
    return facts


def _matches(warehouse: duckdb.DuckDBPyConnection) -> Facts:
    matched = dict(warehouse.execute(read_sql("dagster_matches")).fetchall())
    return {**_limits(warehouse), "matches": sum(matched.values()), "matched_by_trigger": matched}


def _decisions(warehouse: duckdb.DuckDBPyConnection) -> Facts:
    by_trigger: dict[str, dict[str, int]] = {}
    totals: dict[str, dict[str, int]] = {"fired": {}, "suppressed": {}, "held": {}}
    for trigger_name, decision, outcome, rows in warehouse.execute(read_sql("dagster_decisions")).fetchall():
        by_trigger.setdefault(trigger_name, {})[outcome] = rows
        totals[decision][outcome] = totals[decision].get(outcome, 0) + rows
    return {
        **_limits(warehouse),
        "fired": sum(totals["fired"].values()),
        "suppressed": sum(totals["suppressed"].values()),
        "held": sum(totals["held"].values()),
        "suppressed_by_reason": totals["suppressed"],
        "decided_by_trigger": by_trigger,
    }


def _firings(warehouse: duckdb.DuckDBPyConnection) -> Facts:
    decided = _decisions(warehouse)
    by_trigger = {name: rows["fired"] for name, rows in decided["decided_by_trigger"].items() if "fired" in rows}
    return {**_limits(warehouse), "fired": decided["fired"], "fired_by_trigger": by_trigger}


# By the name of the output in the step, which is how its event names the model.
MEASURED: dict[str, Callable[[duckdb.DuckDBPyConnection], Facts]] = {
    dg.AssetKey(["triggers", "trigger_matches"]).to_python_identifier(): _matches,
    dg.AssetKey(["triggers", "trigger_decisions"]).to_python_identifier(): _decisions,
    FIRINGS.to_python_identifier(): _firings,
}
