"""A batch's own push: what it fired is on its way before the batch ends."""

from typing import Any

import dagster as dg

from orchestration.dagster_names import DELIVERIES, OUTBOX, PROMPT_DELIVERIES, WAREHOUSE_POOL
from orchestration.dagster_settings import DagsterSettings
from orchestration.defs.activate.deliveries import facts_of
from orchestration.errors import TriplineError
from orchestration.push import push
from orchestration.settings import get_settings


@dg.asset(key=PROMPT_DELIVERIES, deps=[OUTBOX], group_name="activate", kinds={"duckdb"}, pool=WAREHOUSE_POOL)
def prompt_deliveries(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """Sends at once what waits, for a few seconds (TRIPLINE_DAGSTER_PROMPT_PUSH_SECONDS). Whatever it leaves, or cannot
    send, is the push sensor's, so nothing here fails the batch."""
    seconds = DagsterSettings().prompt_push_seconds
    if not seconds:
        return dg.MaterializeResult(metadata={"left": "everything: TRIPLINE_DAGSTER_PROMPT_PUSH_SECONDS is 0"})
    try:
        report = push(get_settings(), hurry_seconds=seconds)
    except TriplineError as error:
        context.log.info(f"left to the push sensor: {error}")
        return dg.MaterializeResult(metadata={"left": str(error)})
    for name, problem in report.problems.items():
        context.log.warning(f"{name}: left to the push sensor: {problem}")
    facts = facts_of(report)
    if report.counts:
        context.log_event(dg.AssetMaterialization(asset_key=DELIVERIES, metadata=facts))
    return dg.MaterializeResult(metadata=facts)
