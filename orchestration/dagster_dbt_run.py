"""One `dbt build` inside a Dagster run: its events with what a person wants to know, its errors with what to do."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import AssetCheckEvaluation
from dagster_dbt import DagsterDbtTranslator, DbtCliInvocation, DbtCliResource, DbtProject

from orchestration.dagster_names import FIRINGS, failure
from orchestration.dbt import BUILD, build_without, environment, log_level
from orchestration.dbt_manifest import dagster_target
from orchestration.errors import BuildFailed, ConfigError, TriplineError, WarehouseLocked
from orchestration.project_files import project_fingerprint
from orchestration.seed_files import assert_readable_seeds
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.ticks import PROJECT_TAG
from orchestration.warehouse import connect, read_sql

LOCK_WORDS = ("Could not set lock", "Conflicting lock")
KEPT_FAILURES = 5

# What the macro tell_figures begins its line with.
FIGURES_WORDS = "figures of the batch: "

Facts = dict[str, Any]
Told = dict[str, dict[str, Any]]  # by model, what tell_figures logged: limits and rows


def build_models(
    context: dg.AssetExecutionContext, dbt: DbtCliResource, settings: Settings, lasting: list[str]
) -> Iterator[Any]:
    """dbt's events as they come, with the figures that it tells. Raises Failure with dbt's own words; what was built
    before the error is materialized.

    `lasting`: seeds and views that are left out while they are what the project's files say.
    """
    # Taken before dbt reads the files: what changes meanwhile is a change since this run.
    fingerprint = project_fingerprint()
    context.instance.add_run_tags(context.run.run_id, {PROJECT_TAG: fingerprint})

    def start(folder: Path, built_from: str | None) -> DbtCliInvocation:
        command = build_without(lasting) if built_from == fingerprint and not context.is_subset else BUILD
        with environment(TRIPLINE_BUILT_FROM=fingerprint):
            return dbt.cli(command, context=context, target_path=folder, raise_on_error=False)

    try:
        assert_readable_seeds(PROJECT_DIR / "seeds")
        yield from _events(context, settings, start)
    except TriplineError as error:
        raise failure(error) from error


def audit_tables(
    context: dg.AssetCheckExecutionContext,
    dbt: DbtCliResource,
    settings: Settings,
    project: DbtProject,
    translator: DagsterDbtTranslator,
) -> Iterator[dg.AssetCheckResult]:
    """The results of the selected tests, as they come. Raises Failure where one failed, after all results."""
    names = " ".join(sorted(key.name for key in context.selected_asset_check_keys))

    def start(folder: Path, built_from: str | None) -> DbtCliInvocation:
        return dbt.cli(
            ["test", "--select", names],
            manifest=project.manifest_path,
            dagster_dbt_translator=translator,
            target_path=folder,
            raise_on_error=False,
        )

    try:
        for event in _events(context, settings, start):
            if isinstance(event, AssetCheckEvaluation):
                yield dg.AssetCheckResult(
                    asset_key=event.asset_key,
                    check_name=event.check_name,
                    passed=event.passed,
                    severity=event.severity,
                    metadata=event.metadata,
                )
    except BuildFailed as error:
        found = error.message.partition("\n")[2]
        advice = "the check names the table, and the step's output the query that shows the rows"
        raise failure(BuildFailed(f"the tables are not what the batches should have left:\n{found}", advice)) from error
    except TriplineError as error:
        raise failure(error) from error


def _events(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    settings: Settings,
    start: Callable[[Path, str | None], DbtCliInvocation],
) -> Iterator[Any]:
    """Starts dbt again while a tick or a push is in its way: their hold is short, and nothing was built yet."""
    deadline = time.monotonic() + settings.lock_timeout_seconds
    variables = {"TRIPLINE_WAREHOUSE": str(settings.warehouse_path), "DBT_LOG_LEVEL_FILE": log_level()}
    with _run_folder(context, settings) as folder, environment(**variables):
        while True:
            # Free at this moment, with its tables; closed again before dbt opens it.
            with connect(settings.warehouse_path, wait_seconds=max(0.0, deadline - time.monotonic())) as warehouse:
                ((built_from,),) = warehouse.execute(read_sql("built_from")).fetchall()
            started = start(folder, built_from)
            seen = 0
            for event in _with_figures(started):
                seen += 1
                yield event
            if started.is_successful():
                return
            problem = _problem_of(started)
            if seen or not isinstance(problem, WarehouseLocked) or time.monotonic() >= deadline:
                raise problem
            context.log.info("the warehouse was busy when dbt opened it; starting dbt again")


def _with_figures(started: DbtCliInvocation) -> Iterator[Any]:
    """What DbtCliInvocation.stream gives; the outputs of MEASURED with what tell_figures logged before them."""
    told: Told = {}
    for line in started.stream_raw_events():
        node, _, figures = str(line.raw_event["info"].get("msg", "")).partition(FIGURES_WORDS)
        if figures and not node:
            told[line.raw_event["data"]["node_info"]["node_name"]] = json.loads(figures)
        for event in line.to_default_asset_events(
            manifest=started.manifest,
            dagster_dbt_translator=started.dagster_dbt_translator,
            context=started.context,
            target_path=started.target_path,
            project=started.project,
        ):
            if isinstance(event, dg.Output) and event.output_name in MEASURED:
                yield event.with_metadata({**event.metadata, **MEASURED[event.output_name](told)})
            else:
                yield event


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
def _run_folder(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, settings: Settings
) -> Iterator[Path]:
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


def _limits(limits: Facts) -> Facts:
    clock = datetime.fromisoformat(limits["clock"])
    facts: Facts = {"batch": limits["batch"], "clock": f"{clock} UTC", "config_version": limits["config_version"]}
    if limits["watermark"] is not None:
        watermark = datetime.fromisoformat(limits["watermark"])
        lag = datetime.now(UTC).replace(tzinfo=None) - watermark
        # How old the data is that absences are decided on; data time, so it grows while nothing is loaded.
        facts |= {"watermark": f"{watermark} UTC", "lag_seconds": round(lag.total_seconds(), 1)}
    if limits["full_reason"]:
        facts["full_reason"] = limits["full_reason"]
    return facts


def _matches(told: Told) -> Facts:
    if "trigger_matches" not in told:
        return {}
    figures = told["trigger_matches"]
    matched = dict(figures["rows"])
    return {**_limits(figures["limits"]), "matches": sum(matched.values()), "matched_by_trigger": matched}


def _decisions(told: Told) -> Facts:
    if "trigger_decisions" not in told:
        return {}
    figures = told["trigger_decisions"]
    by_trigger: dict[str, dict[str, int]] = {}
    totals: dict[str, dict[str, int]] = {"fired": {}, "suppressed": {}, "held": {}}
    for trigger_name, decision, outcome, rows in figures["rows"]:
        by_trigger.setdefault(trigger_name, {})[outcome] = rows
        totals[decision][outcome] = totals[decision].get(outcome, 0) + rows
    return {
        **_limits(figures["limits"]),
        "fired": sum(totals["fired"].values()),
        "suppressed": sum(totals["suppressed"].values()),
        "held": sum(totals["held"].values()),
        "suppressed_by_reason": totals["suppressed"],
        "decided_by_trigger": by_trigger,
    }


def _firings(told: Told) -> Facts:
    decided = _decisions(told)
    if not decided:
        return {}
    by_trigger = {name: rows["fired"] for name, rows in decided["decided_by_trigger"].items() if "fired" in rows}
    limits = _limits(told["trigger_decisions"]["limits"])
    return {**limits, "fired": decided["fired"], "fired_by_trigger": by_trigger}


# By the name of the output in the step, which is how its event names the model.
MEASURED: dict[str, Callable[[Told], Facts]] = {
    dg.AssetKey(["triggers", "trigger_matches"]).to_python_identifier(): _matches,
    dg.AssetKey(["triggers", "trigger_decisions"]).to_python_identifier(): _decisions,
    FIRINGS.to_python_identifier(): _firings,
}
