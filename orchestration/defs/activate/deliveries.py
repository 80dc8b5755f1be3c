"""The push: what fired and is not settled goes to the campaign platforms."""

from typing import Any

import dagster as dg

from orchestration.dagster_names import DELIVERIES, OUTBOX, PUSH_JOB, PUSH_POOL, failure
from orchestration.errors import TriplineError, WarehouseLocked
from orchestration.push import push
from orchestration.push_report import PushReport
from orchestration.settings import Settings, get_settings

STATUSES = ("rejected", "failed", "unknown", "cancelled", "waiting_for_address", "dry_run")


@dg.asset(key=DELIVERIES, deps=[OUTBOX], group_name="activate", kinds={"duckdb"}, pool=PUSH_POOL)
def campaign_deliveries(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """The append-only log of deliveries. What a platform answers is a row of it, not a failure of the run; a
    destination that cannot be served at all is."""
    settings = get_settings()
    try:
        report = push(settings)
    except TriplineError as error:
        raise failure(error) from error
    facts = facts_of(report)
    _publish(context, settings)
    for problem in report.problems.values():
        # The rows that did go out are in the log, so the page shows them, failed run or not.
        context.log_event(dg.AssetMaterialization(asset_key=DELIVERIES, metadata=facts))
        raise failure(problem) from problem
    return dg.MaterializeResult(metadata=facts)


def facts_of(report: PushReport) -> dict[str, Any]:
    totals = {"sent": report.delivered, **{status: report.total(status) for status in STATUSES}}
    seconds = (report.finished_at - report.started_at).total_seconds() if report.finished_at else None
    problems = {name: str(problem) for name, problem in report.problems.items()}
    return {
        **totals,
        "by_destination": report.counts,
        "held_for_a_person": report.held,
        "problems": problems,
        "is_dry_run": report.is_dry_run,
        "seconds": seconds,
        "push_id": report.push_id,
    }


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
    description="Sends what fired and no attempt has settled.",
    executor_def=dg.in_process_executor,
)
