"""The load: one transaction writes all tables of schema raw."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.dagster_names import RAW_TABLES, WAREHOUSE_POOL, failure
from orchestration.errors import TriplineError
from orchestration.load import load_batch
from orchestration.load_report import BatchReport
from orchestration.settings import get_settings


def _specs() -> list[dg.AssetSpec]:
    # A function, because the loader of this folder would take a list of specs for assets of its own.
    return [
        dg.AssetSpec(dg.AssetKey(["raw", name]), group_name="ingest", description=description, kinds={"duckdb"})
        for name, description in RAW_TABLES.items()
    ]


@dg.multi_asset(name="load", specs=_specs(), pool=WAREHOUSE_POOL)
def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
    """Loads what waits in the landing folder and in the streams as one batch."""
    settings = get_settings()
    try:
        report = load_batch(settings.warehouse_path, settings)
    except TriplineError as error:
        raise failure(error) from error
    for note in report.files_set_aside:
        context.log.warning(f"set aside: {note.file_name}: {note.reason}. Mend it and put it back.")
    for note in report.files_not_moved:
        context.log.warning(f"{note.file_name}: {note.reason}. It will not be loaded twice, but should be moved away.")
    for stream in report.streams_failed:
        context.log.error(f"{stream.reason}. What to do: {stream.what_to_do}")
    facts = facts_of(report)
    for name in RAW_TABLES:
        yield dg.MaterializeResult(asset_key=["raw", name], metadata=facts.get(name))


def facts_of(report: BatchReport) -> dict[str, dict[str, Any]]:
    """What a person wants to read on each table's page."""
    sources = [dg.TableRecord(_row(source.model_dump())) for source in report.sources]
    batch: dict[str, Any] = {"batch": "none: nothing waited" if report.batch_id is None else report.batch_id}
    events = {
        **batch,
        "rows_read": report.events_read,
        "rows_loaded": report.events_loaded,
        "duplicates": report.events_duplicate,
        "superseded": report.events_superseded,
        "quarantined": report.events_quarantined,
        "quarantined_by_reason": report.quarantined,
        "files": len(report.files_taken),
    }
    if report.clock_at is not None:
        events["clock"] = dg.MetadataValue.text(f"{report.clock_at} UTC")
    files = {
        **batch,
        "taken": report.files_taken,
        "set_aside": [note.model_dump() for note in report.files_set_aside],
        "known_already": [note.model_dump() for note in report.files_known],
        "left_for_later": [note.model_dump() for note in report.files_left],
    }
    return {
        "events": events,
        "superseded_events": {**batch, "rows_loaded": report.events_superseded},
        "quarantined_events": {**batch, "quarantined": report.events_quarantined, **report.quarantined},
        "load_batches": {**batch, **({"sources": dg.MetadataValue.table(sources)} if sources else {})},
        "stream_positions": {
            **batch,
            "partitions": [portion.model_dump(mode="json") for portion in report.partitions],
            "not_read": [note.model_dump() for note in report.streams_failed],
        },
        "loaded_files": files,
    }


def _row(values: dict[str, Any]) -> dict[str, str | int]:
    return {name: value if isinstance(value, int) else str(value) for name, value in values.items()}
