"""Asks for a batch as soon as files wait; for a collector's, every minute or when somebody crossed a threshold."""

import dagster as dg

from orchestration.dagster_names import BATCH_JOB
from orchestration.load import waiting_files
from orchestration.settings import get_settings
from orchestration.sources.collected import seconds_until_wanted, source_of_slice
from orchestration.sources.landing import Arrivals, name_in
from orchestration.ticks import busy_reason, files_hash, patiently, run_request


# The daemon looks at sensors every 5 s; an interval of as much would miss every second look by milliseconds.
@dg.sensor(job_name=BATCH_JOB, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def landing_files_waiting_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Looks into the landing folder, again and again until something waits there or the tick is over. The key is made
    of the names, sizes and times of change of what waits."""
    settings = get_settings()
    arrivals = Arrivals()

    def look() -> dg.RunRequest | dg.SkipReason:
        files = waiting_files(settings, arrivals=arrivals)
        if not files:
            return dg.SkipReason(f"nothing waits in {settings.landing_path}")
        slices = [path for path in files if source_of_slice(name_in(settings.landing_path, path))]
        if len(slices) == len(files):
            left = seconds_until_wanted(settings.landing_path, slices, settings.collected_wait_seconds)
            if left > 0:
                return dg.SkipReason(f"{len(slices)} slices of a collector wait, for another {left:.0f} s at most")
        if busy := busy_reason(context.instance, BATCH_JOB):
            return dg.SkipReason(f"{len(files)} files wait; {busy}")
        return run_request(context.instance, BATCH_JOB, files_hash(settings, files))

    return patiently(look)
