"""Whether each source still brings events: absences wait for one that does not, and everything else goes on."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg
import duckdb

from orchestration.dagster_settings import DagsterSettings
from orchestration.dagster_sources import SOURCES, source_key
from orchestration.delivery_log import utc_now
from orchestration.errors import ConfigError
from orchestration.settings import get_settings
from orchestration.source_states import SourceState, source_states
from orchestration.sources.declarations import read_declarations

CHECK = "brings_events"
TOLD_AGAIN_SECONDS = 600  # a check that says what it said before


def _specs() -> list[dg.AssetCheckSpec]:
    told = "Fails where a source that brought events before has been silent for longer than its stalled_after_seconds."
    return [dg.AssetCheckSpec(CHECK, asset=source_key(name), description=told) for name in SOURCES]


SOURCE_CHECKS = _specs()


@dg.multi_asset_check(specs=SOURCE_CHECKS, name="source_freshness", can_subset=True)
def source_freshness(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
    """From the published database: no batch has to wait for it."""
    selected = {key.asset_key for key in context.selected_asset_check_keys}
    for state in _states():
        if source_key(state.source_name) in selected:
            yield dg.AssetCheckResult(
                asset_key=source_key(state.source_name),
                check_name=CHECK,
                passed=not state.is_stalled,
                severity=dg.AssetCheckSeverity.ERROR,
                description=state.words,
                metadata=_facts(state),
            )


@dg.sensor(
    minimum_interval_seconds=DagsterSettings().source_look_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
    asset_selection=dg.AssetSelection.checks_for_assets(*[source_key(name) for name in SOURCES]),
)
def source_stalled_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tells the checks of the sources, without a run, as soon as one changes and now and then."""
    try:
        states = _states()
    except (ConfigError, duckdb.Error) as error:
        return dg.SensorResult(skip_reason=str(error).splitlines()[0], cursor=context.cursor)
    told = json.loads(context.cursor) if context.cursor else {}
    now = utc_now().timestamp()
    # After new events too: Dagster shows no check that is older than its asset.
    facts = {state.source_name: [state.is_stalled, str(state.last_events_at)] for state in states}
    news = [
        state
        for state in states
        if told.get(state.source_name, [])[:2] != facts[state.source_name]
        or now > told[state.source_name][2] + TOLD_AGAIN_SECONDS
    ]
    told |= {state.source_name: [*facts[state.source_name], now] for state in news}
    stalled = [state.source_name for state in states if state.is_stalled]
    return dg.SensorResult(
        skip_reason=f"stalled: {', '.join(stalled)}" if stalled else "every source brings events, or never did",
        cursor=json.dumps(told),
        asset_events=[
            dg.AssetCheckEvaluation(
                asset_key=source_key(state.source_name),
                check_name=CHECK,
                passed=not state.is_stalled,
                description=state.words,
                metadata=_facts(state),
            )
            for state in news
        ],
    )


def _states() -> list[SourceState]:
    """Of the sources that have pages."""
    settings = get_settings()
    states = source_states(settings, read_declarations(settings.sources_path), utc_now())
    return [state for state in states if state.source_name in SOURCES]


def _facts(state: SourceState) -> dict[str, Any]:
    facts: dict[str, Any] = {"holds_absences_back": state.holds_watermark, "events_loaded": state.events_loaded}
    if state.silent_seconds is not None:
        facts["silent_seconds"] = round(state.silent_seconds, 1)
    if state.complete_through is not None:
        facts["watermark"] = f"{state.complete_through} UTC"
    return facts
