"""The push: what fired and is not settled goes to the campaign platforms."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.dagster_names import (
    DELIVERIES,
    DESTINATION_TAG,
    DESTINATIONS_TAG,
    OUTBOX,
    PUSH_JOB,
    PUSH_POOL,
    failure,
)
from orchestration.destinations.settings import PushSettings
from orchestration.errors import TriplineError, WarehouseLocked
from orchestration.push import push
from orchestration.push_health import Health, health_of_destinations
from orchestration.push_report import PushReport, traffic_of
from orchestration.settings import Settings, get_settings
from orchestration.warehouse import connect

STATUSES = ("rejected", "failed", "unknown", "held", "cancelled", "waiting_for_address", "dry_run")
CHECK = "destinations_keep_up"


class PushConfig(dg.Config):
    """`destination`: only this one, for a person who retries it; by default all. The run tag does the same."""

    destination: str = ""


@dg.asset(
    key=DELIVERIES,
    deps=[OUTBOX],
    group_name="activate",
    kinds={"duckdb"},
    pool=PUSH_POOL,
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset=DELIVERIES,
            description="Nothing arrived at a destination for long, or firings wait unsent for long "
            "(TRIPLINE_PUSH_ALARM_SECONDS).",
        )
    ],
)
def campaign_deliveries(context: dg.AssetExecutionContext, config: PushConfig) -> Iterator[Any]:
    """The append-only log of deliveries. What a platform answers is a row of it, not a failure of the run; a
    destination that cannot be served at all is."""
    settings = get_settings()
    destination = config.destination or context.run.tags.get(DESTINATION_TAG)
    try:
        report = push(settings, destination=destination or None)
        healths = _look(settings)
    except TriplineError as error:
        raise failure(error) from error
    facts = facts_of(report)
    _publish(context, settings)
    context.instance.add_run_tags(context.run.run_id, {DESTINATIONS_TAG: ", ".join(sorted(report.counts)) or "none"})
    yield check_of(healths)
    for problem in report.problems.values():
        # The rows that did go out are in the log, so the page shows them, failed run or not.
        context.log_event(dg.AssetMaterialization(asset_key=DELIVERIES, metadata=facts))
        raise failure(problem) from problem
    yield dg.MaterializeResult(metadata=facts)


def facts_of(report: PushReport) -> dict[str, Any]:
    """Totals, then each destination's under its own name, so that Dagster draws them over time."""
    totals = {"sent": report.delivered, **{status: report.total(status) for status in STATUSES}}
    seconds = (report.finished_at - report.started_at).total_seconds() if report.finished_at else None
    problems = {name: str(problem) for name, problem in report.problems.items()}
    return {
        **totals,
        **_facts_by_destination(report),
        "by_destination": report.counts,
        "held_for_a_person": report.held,
        "resting": report.resting,
        "problems": problems,
        "is_dry_run": report.is_dry_run,
        "seconds": seconds,
        "push_id": report.push_id,
    }


def _facts_by_destination(report: PushReport) -> dict[str, int | float]:
    facts: dict[str, int | float] = {}
    for name, counts in sorted(report.counts.items()):
        facts[f"{name}: sent"] = counts.get("delivered", 0)
        facts[f"{name}: rejected"] = counts.get("rejected", 0)
    for name, traffic in sorted(report.traffic.items()):
        told = traffic_of(traffic)
        facts[f"{name}: retried"] = traffic.retries
        facts[f"{name}: limiter wait, s"] = told["limiter_wait_seconds"] or 0.0
        if told["p95_latency_seconds"] is not None:
            facts[f"{name}: p95 latency, s"] = told["p95_latency_seconds"]
    return facts


def check_of(healths: list[Health]) -> dg.AssetCheckResult:
    alarms = [alarm for health in healths if (alarm := health.alarm(PushSettings().alarm_seconds))]
    return dg.AssetCheckResult(
        passed=not alarms,
        check_name=CHECK,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(alarms) or None,
        metadata={health.destination: f"{health.unsent_rows} rows unsent" for health in healths},
    )


def _look(settings: Settings) -> list[Health]:
    wait = PushSettings().record_wait_seconds
    with connect(settings.warehouse_path, read_only=True, wait_seconds=wait) as warehouse:
        return health_of_destinations(warehouse)


def _publish(context: dg.AssetExecutionContext, settings: Settings) -> None:
    """Brings the log to the people who query; a batch under way does it at its end."""
    from orchestration.publish import publish

    try:
        publish(settings)
    except WarehouseLocked:
        context.log.info("a batch holds the warehouse; it publishes the deliveries when it ends")


push_firings_job = dg.define_asset_job(
    PUSH_JOB,
    selection=dg.AssetSelection.assets(DELIVERIES),
    description="Sends what fired and no attempt has settled. For one destination: set `destination` in the "
    f"launchpad, or the run tag {DESTINATION_TAG}.",
    executor_def=dg.in_process_executor,
)
