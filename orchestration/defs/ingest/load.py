"""The load: one transaction writes all tables of schema raw."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from orchestration.dagster_names import RAW_TABLES, WAREHOUSE_POOL, failure
from orchestration.dagster_sources import SOURCES, source_key
from orchestration.errors import TriplineError
from orchestration.load import load_batch
from orchestration.load_report import BatchReport
from orchestration.settings import Settings, get_settings
from orchestration.source_states import waiting_of_sources
from orchestration.sources.declarations import read_declarations


def _specs() -> list[dg.AssetSpec]:
    # A function, because the loader of this folder would take a list of specs for assets of its own.
    tables = [
        dg.AssetSpec(dg.AssetKey(["raw", name]), group_name="ingest", description=description, kinds={"duckdb"})
        for name, description in RAW_TABLES.items()
    ]
    told = "What came of it with the last batch that it had a part in, how far it is, and what waits."
    return tables + [
        dg.AssetSpec(source_key(name), group_name="sources", description=told, kinds={kind}, skippable=True)
        for name, kind in SOURCES.items()
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
    # One that was declared since these definitions were loaded has its page when they are loaded again.
    for name, source_facts in facts_of_sources(report, settings).items():
        if name in SOURCES:
            yield dg.MaterializeResult(asset_key=source_key(name), metadata=source_facts)


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


def facts_of_sources(report: BatchReport, settings: Settings) -> dict[str, dict[str, Any]]:
    """By source that the batch read from. The lag is from where the source is complete to the batch's clock."""
    waiting = waiting_of_sources(settings, read_declarations(settings.sources_path))
    found: dict[str, dict[str, Any]] = {}
    for source in report.sources:
        files, oldest = waiting.get(source.source_name, (0, 0.0))
        partitions = [one for one in report.partitions if one.source_name == source.source_name]
        facts: dict[str, Any] = {
            "batch": report.batch_id or 0,
            "rows_read": source.events_read,
            "rows_loaded": source.events_loaded,
            "duplicates": source.events_duplicate,
            "superseded": source.events_superseded,
            "quarantined": source.events_quarantined,
            "waiting": files + sum(one.waiting for one in partitions),
            "oldest_waiting_seconds": round(oldest, 1),
        }
        if source.complete_through is not None and report.clock_at is not None:
            facts["watermark"] = dg.MetadataValue.text(f"{source.complete_through} UTC")
            facts["lag_seconds"] = round((report.clock_at - source.complete_through).total_seconds(), 1)
        found[source.source_name] = facts
    return found


def _row(values: dict[str, Any]) -> dict[str, str | int]:
    return {name: value if isinstance(value, int) else str(value) for name, value in values.items()}
