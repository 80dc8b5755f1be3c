"""What a run plans is in Dagster's event log at once, whole, and the same as Dagster itself would have written."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, DagsterEventType, EngineEventData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from orchestration.warm.event_log import WarmEventLogStorage

RUN = "5b2c9e8e-6a8f-4c39-8e7e-3f6f3f0c1a11"
ASSETS = [dg.AssetKey(["triggers", f"model_{number}"]) for number in range(20)]


def entry(kind: DagsterEventType, data: Any, at: float) -> EventLogEntry:
    event = DagsterEvent(kind.value, "process_micro_batch_job", step_key="build_tables", event_specific_data=data)
    return EventLogEntry(
        error_info=None,
        level=logging.DEBUG,
        user_message="",
        run_id=RUN,
        timestamp=at,
        step_key="build_tables",
        job_name="process_micro_batch_job",
        dagster_event=event,
    )


def planned() -> list[EventLogEntry]:
    """An asset and a check of it, for each asset."""
    entries = []
    for number, key in enumerate(ASSETS):
        asset, check = (
            AssetMaterializationPlannedData(key),
            AssetCheckEvaluationPlanned(asset_key=key, check_name="is_unique"),
        )
        entries.append(entry(DagsterEventType.ASSET_MATERIALIZATION_PLANNED, asset, 1_800_000_000.0 + number))
        entries.append(entry(DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, check, 1_800_000_000.5 + number))
    return entries


def told(storage: SqliteEventLogStorage) -> list[Any]:
    """All that Dagster's pages ask of it: the run's own log, and who plans each asset and each check."""
    checks = [dg.AssetCheckKey(key, "is_unique") for key in ASSETS]
    planned_by = [storage.get_latest_planned_materialization_info(key) for key in ASSETS]
    return [
        [record.event_log_entry for record in storage.get_records_for_run(RUN).records],
        [(info.run_id, info.storage_id) if info else None for info in planned_by],
        [
            (record.key, record.run_id, record.status)
            for check in checks
            for record in storage.get_asset_check_execution_history(check, limit=5)
        ],
    ]


def test_a_planned_run_reads_the_same_as_if_dagster_had_stored_its_events(tmp_path: Path) -> None:
    ours, dagsters = WarmEventLogStorage(str(tmp_path / "ours")), SqliteEventLogStorage(str(tmp_path / "dagsters"))
    ours.store_event_batch(planned())
    for event in planned():
        dagsters.store_event(event)
    assert told(ours) == told(dagsters)
    assert len(told(ours)[0]) == 40 and None not in told(ours)[1] and len(told(ours)[2]) == 20


def test_of_events_that_cannot_all_be_stored_none_is_and_one_by_one_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = WarmEventLogStorage(str(tmp_path))
    events = planned()
    store = storage._store_asset_event

    def fail_once(connection: Any, event: EventLogEntry, event_id: int) -> None:
        if event == events[20]:
            raise OSError("the disk is full")
        store(connection, event, event_id)

    with monkeypatch.context() as failing:
        failing.setattr(storage, "_store_asset_event", fail_once)
        with pytest.raises(OSError, match="the disk is full"):
            storage.store_event_batch(events)
    assert told(storage) == [[], [None] * 20, []]
    for event in events:
        storage.store_event(event)
    assert len(told(storage)[0]) == 40


def test_what_other_threads_store_meanwhile_is_kept_too(tmp_path: Path) -> None:
    storage = WarmEventLogStorage(str(tmp_path))
    start = entry(DagsterEventType.ENGINE_EVENT, EngineEventData(), 1_700_000_000.0)
    with ThreadPoolExecutor(4) as threads:
        batches = [threads.submit(storage.store_event_batch, planned()) for _ in range(3)]
        singles = [threads.submit(storage.store_event, start) for _ in range(20)]
        for done in batches + singles:
            done.result()
    assert len(storage.get_logs_for_run(RUN)) == 3 * 40 + 20


def test_dagster_hands_planned_events_over_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
    WarmEventLogStorage.from_config_value(None, {"base_dir": str(tmp_path)})
    assert int(os.environ["DAGSTER_EVENT_BATCH_SIZE"]) > 200
