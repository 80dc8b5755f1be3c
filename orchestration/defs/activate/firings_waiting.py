"""Asks for a push as soon as something fired that no attempt has settled."""

import dagster as dg

from orchestration.dagster_names import BATCH_JOB, PUSH_JOB
from orchestration.dagster_settings import DagsterSettings
from orchestration.errors import WarehouseLocked
from orchestration.push import outbox_fingerprint
from orchestration.settings import get_settings
from orchestration.ticks import busy_reason, patiently, run_request, version_of
from orchestration.warehouse import connect

SETTLED = "every firing is settled or waits for its time"


@dg.sensor(job_name=PUSH_JOB, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def firings_waiting_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Looks into the outbox, and again when the warehouse has changed while the tick lasts. The key is made of the rows
    that are due and of how often each was tried."""
    settings = get_settings()
    seen: list[list[tuple[int, int]]] = []
    left_to_batch = False

    def look() -> dg.RunRequest | dg.SkipReason:
        nonlocal left_to_batch
        if not settings.warehouse_path.exists():
            return dg.SkipReason("nothing was ever loaded")
        if busy := busy_reason(context.instance, PUSH_JOB):
            return dg.SkipReason(busy)
        version = version_of(settings.warehouse_path)
        batch = busy_reason(context.instance, BATCH_JOB)
        # A batch sends what it fired itself; opening the warehouse again and again would only be in its way.
        if seen and (seen[-1] == version or batch):
            return dg.SkipReason(SETTLED)
        try:
            # A batch lets go of the warehouse between its steps, so a short wait mostly finds a gap.
            with connect(
                settings.warehouse_path, read_only=True, wait_seconds=DagsterSettings().tick_wait_seconds
            ) as warehouse:
                content = outbox_fingerprint(warehouse)
        except WarehouseLocked as error:
            return dg.SkipReason(str(error))
        if content is None:
            left_to_batch = False
            seen.append(version)
            return dg.SkipReason(SETTLED)
        if batch and not left_to_batch:
            seen.append(version)
            left_to_batch = True
            return dg.SkipReason(f"{batch}, and sends what is due itself")
        left_to_batch = False
        return run_request(context.instance, PUSH_JOB, content)

    said = patiently(look)
    if isinstance(said, dg.SkipReason) and left_to_batch:  # the batch had the time of a tick for it
        seen.clear()
        said = look()
    return said
