"""The data tests that stop no batch: as asset checks of a job of their own, so that no firing waits for them."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration.dagster_dbt_run import audit_tables
from orchestration.dagster_names import AUDIT_JOB, WAREHOUSE_POOL
from orchestration.dagster_settings import DagsterSettings
from orchestration.dbt import AUDIT_TAG
from orchestration.defs.transform.models import PROJECT, Translator
from orchestration.errors import WarehouseLocked
from orchestration.settings import get_settings
from orchestration.ticks import busy_reason, was_ever_built

TRANSLATOR = Translator()


def _specs() -> Iterator[dg.AssetCheckSpec]:
    manifest: dict[str, Any] = json.loads(PROJECT.manifest_path.read_text(encoding="utf-8"))
    for unique_id, test in manifest["nodes"].items():
        if test["resource_type"] != "test" or AUDIT_TAG not in test["tags"]:
            continue
        for read in test["depends_on"]["nodes"]:
            asset = TRANSLATOR.get_asset_spec(manifest, read, PROJECT)
            spec = TRANSLATOR.get_asset_check_spec(asset, manifest, unique_id, PROJECT)
            if spec:
                # Alone: one that blocks would have every table behind it wait for all of them.
                yield dg.AssetCheckSpec(spec.name, asset=spec.asset_key, description=test["description"] or None)
                break


AUDITS = list(_specs())


@dg.multi_asset_check(specs=AUDITS, name="audits", can_subset=True, pool=WAREHOUSE_POOL)
def audits(context: dg.AssetCheckExecutionContext, dbt: DbtCliResource) -> Iterator[dg.AssetCheckResult]:
    """Over the batches of the last hours (audit_hours in dbt_project.yml), by one dbt command."""
    yield from audit_tables(context, dbt, get_settings(), PROJECT, TRANSLATOR)


audit_tables_job = dg.define_asset_job(
    AUDIT_JOB,
    selection=dg.AssetSelection.checks(*[spec.key for spec in AUDITS]),
    description="Holds what the last batches left against what they should have left.",
    executor_def=dg.in_process_executor,
)


@dg.schedule(
    name=f"{AUDIT_JOB}_schedule",
    job_name=AUDIT_JOB,
    cron_schedule=DagsterSettings().audit_cron,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def audit_tables_job_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Asks for an audit where there is a build to audit."""
    if busy := busy_reason(context.instance, AUDIT_JOB):
        return dg.SkipReason(busy)
    try:
        if not was_ever_built(get_settings()):
            return dg.SkipReason("nothing was built yet")
    except WarehouseLocked as error:
        return dg.SkipReason(str(error))
    return dg.RunRequest()
