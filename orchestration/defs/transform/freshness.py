"""Whether events still come in, and whether they still become firings."""

import warnings
from datetime import timedelta

import dagster as dg

from orchestration.dagster_names import FIRINGS, RAW_EVENTS
from orchestration.dagster_settings import DagsterSettings

with warnings.catch_warnings():
    # Dagster now prefers policies, which are no checks: they do not show among an asset's checks and fail no one.
    warnings.simplefilter("ignore")
    freshness_checks = dg.build_last_update_freshness_checks(
        assets=[RAW_EVENTS, FIRINGS],
        lower_bound_delta=timedelta(seconds=DagsterSettings().freshness_seconds),
        severity=dg.AssetCheckSeverity.WARN,
    )
    freshness_check_due_sensor = dg.build_sensor_for_freshness_checks(
        freshness_checks=freshness_checks,
        name="freshness_check_due_sensor",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
