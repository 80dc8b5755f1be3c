"""Asks for a batch as soon as a stream has messages."""

import dagster as dg

from orchestration.dagster_names import BATCH_JOB
from orchestration.dagster_settings import DagsterSettings
from orchestration.errors import ConfigError, WarehouseLocked
from orchestration.settings import get_settings
from orchestration.sources.stream_watch import StreamWatch
from orchestration.ticks import busy_reason, hash_of, patiently, run_request


@dg.sensor(job_name=BATCH_JOB, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def stream_messages_waiting_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Asks the brokers, again and again until something waits or the tick is over. The key is made of how much waits in
    each partition and of the last batch."""
    try:
        with StreamWatch(get_settings(), DagsterSettings().tick_wait_seconds) as watch:
            if not watch.sources:
                return dg.SkipReason("no stream is declared")
            if busy := busy_reason(context.instance, BATCH_JOB):
                return dg.SkipReason(busy)

            def look() -> dg.RunRequest | dg.SkipReason:
                news = watch.look()
                if not news.waiting:
                    return dg.SkipReason("; ".join(news.problems) or "nothing waits in the streams")
                if busy := busy_reason(context.instance, BATCH_JOB):
                    return dg.SkipReason(f"{sum(news.waiting.values())} messages wait; {busy}")
                return run_request(context.instance, BATCH_JOB, hash_of(watch.positions, sorted(news.waiting.items())))

            return patiently(look)
    except (ConfigError, WarehouseLocked) as error:
        return dg.SkipReason(str(error))
