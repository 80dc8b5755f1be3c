"""The project's definitions with a process for each step, which is Dagster's default, to compare with."""

import dagster as dg

from orchestration import definitions  # the module: Dagster takes one such function in each, imported ones too
from orchestration.dagster_names import BATCH_JOB

ONE_AT_A_TIME = dg.multiprocess_executor.configured({"max_concurrent": 1})  # one process can write to DuckDB


@dg.definitions
def defs() -> dg.Definitions:
    found = definitions.defs()
    jobs = [
        dg.define_asset_job(BATCH_JOB, selection=job.selection, executor_def=ONE_AT_A_TIME)
        if job.name == BATCH_JOB
        else job
        for job in found.jobs or []
    ]
    return dg.Definitions(
        assets=found.assets,
        asset_checks=found.asset_checks,
        schedules=found.schedules,
        sensors=found.sensors,
        resources=found.resources,
        jobs=jobs,
    )
