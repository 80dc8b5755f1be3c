"""The micro-batch: load, build, publish; and the schedule that catches up with what no file announces."""

import dagster as dg

from orchestration.dagster_names import BATCH_JOB, DELIVERIES
from orchestration.dagster_settings import DagsterSettings
from orchestration.defs.ingest.source_freshness import SOURCE_CHECKS
from orchestration.defs.transform.audits import AUDITS
from orchestration.errors import WarehouseLocked
from orchestration.load import waiting_files
from orchestration.settings import get_settings
from orchestration.ticks import busy_reason, catch_up, files_hash, hash_of, run_request

process_micro_batch_job = dg.define_asset_job(
    BATCH_JOB,
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.assets(DELIVERIES)
    - dg.AssetSelection.checks(*[spec.key for spec in [*AUDITS, *SOURCE_CHECKS]]),
    description="Loads what waits in the landing folder, builds every model, publishes the tables that people query.",
    executor_def=dg.in_process_executor,
)


@dg.schedule(
    name=f"{BATCH_JOB}_schedule",
    job_name=BATCH_JOB,
    cron_schedule=DagsterSettings().batch_cron,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def process_micro_batch_job_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Asks for a batch where files wait, the last batch was not built to the end, or models or seeds changed."""
    settings = get_settings()
    if busy := busy_reason(context.instance, BATCH_JOB):
        return dg.SkipReason(busy)
    files = waiting_files(settings)
    try:
        work = catch_up(context.instance, settings, BATCH_JOB)
    except WarehouseLocked as error:
        return dg.SkipReason(str(error))
    if not files and not work:
        return dg.SkipReason("nothing waits, every batch is built, and models and seeds are as they were")
    context.log.info(f"{len(files)} files wait" + (f"; {work[0]}" if work else ""))
    return run_request(context.instance, BATCH_JOB, hash_of(files_hash(settings, files), work and work[1]))
