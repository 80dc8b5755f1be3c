"""Loading one micro-batch from the landing folder, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.load_report import BatchReport, FileNote, SourceReport, StreamNote
from orchestration.settings import Settings
from orchestration.sources.batch_files import BatchFile, BatchFiles, loaded_as, move_files, stage_files
from orchestration.sources.declarations import SEGMENT, Source, read_declarations
from orchestration.sources.landing import Arrivals, name_in, settled_files
from orchestration.sources.staging import declaration_for
from orchestration.sources.stream_batch import BatchStreams, assert_unmoved, stage_streams
from orchestration.warehouse import bound_memory, bounded_memory, connect, read_sql

# A replay that has read no event yet knows nothing of its data's time; any later clock would hold it back.
NO_TIME = datetime(1970, 1, 1)
FEW_EVENTS = 100_000  # as the builds' own bound, micro_batch_events in dbt_project.yml


def waiting_files(settings: Settings, *, wait: bool = False, arrivals: Arrivals | None = None) -> list[Path]:
    """The files that a batch would take now, by name. With `wait`, files written a moment ago get the time to
    settle (`settle_seconds`, once). With `arrivals`, those that will have settled when a run has started are among
    them; files of a paused source are not.

    Raises ConfigError where a source declaration is wrong.
    """
    files, fresh = settled_files(settings.landing_path, settings.settle_seconds, wait=wait)
    if arrivals is not None:
        files += arrivals.untouched(fresh)
    if not files:
        return []
    return _of_running_sources(files, read_declarations(settings.sources_path), settings)


def _of_running_sources(paths: list[Path], declarations: list[Source], settings: Settings) -> list[Path]:
    if not any(declaration.is_paused for declaration in declarations):
        return paths
    claims = {path: declaration_for(path, name_in(settings.landing_path, path), declarations) for path in paths}
    return [path for path, claim in claims.items() if not (claim and claim.is_paused)]


def load_batch(
    warehouse: duckdb.DuckDBPyConnection | Path,
    settings: Settings,
    *,
    replay: bool = False,
    files: list[Path] | None = None,
    clock: datetime | None = None,
) -> BatchReport:
    """Loads what waits in the landing folder, or just `files`, and in the streams, as one batch.

    Everything is written in one transaction, which also remembers the content of the files; they are moved to
    .taken/<batch>/ afterwards, and a file that a crash left behind is recognised by its content. `clock` is the
    wall time to use instead of now; in a `replay` the clock is the data's. It never goes back. Raises ConfigError
    for a wrong source declaration, WarehouseLocked when `warehouse` is a path that another process holds.
    """
    declarations = read_declarations(settings.sources_path)
    started_at = _naive(clock) if clock else _now()
    left: list[Path] = []
    if files is None:
        files, left = settled_files(settings.landing_path, settings.settle_seconds, wait=True)
    with _connected(warehouse, settings) as connection:
        streams = BatchStreams()
        try:
            staged = stage_files(connection, files, declarations, settings)
            staged.left += [(name_in(settings.landing_path, path), "is still being written") for path in left]
            streams = stage_streams(connection, declarations, len(staged.taken), started_at)
            report = _write(connection, staged, streams, declarations, settings, replay, started_at)
            streams.committed()
        finally:
            streams.close()
            connection.execute(read_sql("load_end"))
        if isinstance(warehouse, Path) and report.events_read <= FEW_EVENTS:
            # Closing writes the file, and now and then a whole row group, at the memory of a large batch.
            with suppress(duckdb.OutOfMemoryException):
                bound_memory(connection)
    problems = move_files(staged, report.batch_id, settings.landing_path)
    return report.model_copy(update={"files_not_moved": _notes(problems)})


@contextmanager
def _connected(warehouse: duckdb.DuckDBPyConnection | Path, settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    if isinstance(warehouse, Path):
        with connect(warehouse, wait_seconds=settings.lock_timeout_seconds) as connection:
            yield connection
    else:
        yield warehouse


def _write(
    connection: duckdb.DuckDBPyConnection,
    staged: BatchFiles,
    streams: BatchStreams,
    declarations: list[Source],
    settings: Settings,
    replay: bool,
    started_at: datetime,
) -> BatchReport:
    notes: dict[str, Any] = {
        "partitions": streams.reports,
        "streams_failed": [StreamNote.of(name, error) for name, error in streams.problems],
        "files_set_aside": _notes([(file.file_name, file.reason or "") for file in staged.set_aside]),
        "files_known": _notes([(file.file_name, file.reason or "") for file in staged.known]),
        "files_left": _notes(staged.left),
    }
    connection.execute("begin")
    try:
        batch: dict[str, Any] = {}
        if staged.taken or streams.has_news:
            _assert_unknown(connection, staged.taken)
            assert_unmoved(connection, streams)
            batch = write_batch(connection, settings, replay=replay, started_at=started_at)
            batch["files_taken"] = [file.file_name for file in staged.taken]
            _write_sources(connection, declarations)
        _note_files(connection, staged, batch.get("batch_id"), started_at)
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    return BatchReport(is_replay=replay, **batch, **notes)


def _assert_unknown(connection: duckdb.DuckDBPyConnection, taken: list[BatchFile]) -> None:
    for file in taken:
        if loaded_as(connection, file.content_hash):
            # Another thread of this process was faster; what it loaded must not be loaded twice.
            raise duckdb.TransactionException(f"{file.file_name} was loaded by another batch meanwhile; try again")


def write_batch(
    connection: duckdb.DuckDBPyConnection, settings: Settings, *, replay: bool, started_at: datetime
) -> dict[str, Any]:
    """The records of load_records into the tables of schema raw, within the caller's transaction; the facts of its
    report. `load_begin` has run, and load_files names the file of every record."""
    last_batch_id, last_clock_at, last_event_seq = _one(connection, "load_limits")
    connection.execute(read_sql("load_typed"), {"max_event_bytes": settings.max_event_bytes})
    data_clock_at, events = _one(connection, "load_clock")
    clock_at = (data_clock_at or last_clock_at or NO_TIME) if replay else started_at
    clock_at = max(clock_at, last_clock_at or clock_at)
    connection.execute(read_sql("load_order"), {"last_event_seq": last_event_seq})
    # A file of millions has all the memory there is: it is held against itself, and that takes what it takes.
    with bounded_memory(connection) if events <= FEW_EVENTS else nullcontext():
        _find_copies(connection)
    batch_id = last_batch_id + 1
    _run(connection, "load_write_events", {"batch_id": batch_id, "clock_at": clock_at})
    accounts = {
        "batch_id": batch_id,
        "clock_at": clock_at,
        "last_event_seq": last_event_seq,
        "is_replay": replay,
        "started_at": started_at,
        "finished_at": max(_now(), started_at),
    }
    _run(connection, "load_write_batch", accounts)
    _run(connection, "load_write_streams", accounts)
    rows = connection.execute(read_sql("load_report"), {"batch_id": batch_id}).fetchall()
    return {
        "batch_id": batch_id,
        "clock_at": clock_at,
        "sources": [SourceReport(**dict(zip(SourceReport.model_fields, row, strict=True))) for row in rows],
        "quarantined": dict(connection.execute(read_sql("load_reasons")).fetchall()),
    }


def _find_copies(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(read_sql("load_best"))
    near_from, near_to, far_from, far_to, without_time = _one(connection, "load_span")
    near = {"near_from": near_from, "near_to": near_to}
    if near_from is not None:
        connection.execute(read_sql("load_earlier_near"), near)
    if far_from is not None:
        _run(connection, "load_earlier_far", {**near, "far_from": far_from, "far_to": far_to})
    if without_time:
        connection.execute(read_sql("load_earlier_timeless"))
    connection.execute(read_sql("load_ties"))
    first_seq, last_seq = _one(connection, "load_tie_span")
    if first_seq is not None:
        connection.execute(read_sql("load_tied_texts"), {"first_seq": first_seq, "last_seq": last_seq})
    connection.execute(read_sql("load_copies"))


def _write_sources(connection: duckdb.DuckDBPyConnection, declarations: list[Source]) -> None:
    names = [SEGMENT, *(declaration.name for declaration in declarations)]
    paused = [False, *(declaration.is_paused for declaration in declarations)]
    _run(connection, "load_write_sources", {"names": names, "paused": paused})


def _note_files(
    connection: duckdb.DuckDBPyConnection, staged: BatchFiles, batch_id: int | None, taken_at: datetime
) -> None:
    noted = [file for file in staged.known if file.is_noted]
    for file in [*staged.taken, *staged.set_aside, *noted]:
        values = {
            "content_hash": file.content_hash,
            "batch_id": None if file.reason else batch_id,
            "source_name": file.source_name,
            "file_name": file.file_name,
            "bytes": file.version.bytes,
            "taken_at": taken_at,
            "set_aside_reason": file.reason,
        }
        connection.execute(read_sql("load_note_file"), values)


def _run(connection: duckdb.DuckDBPyConnection, name: str, values: dict[str, Any]) -> None:
    """Several statements of one file, each given the parameters that it names."""
    for statement in connection.extract_statements(read_sql(name)):
        connection.execute(statement, {key: values[key] for key in statement.named_parameters})


def _one(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[Any, ...]:
    row = connection.execute(read_sql(name)).fetchone()
    assert row is not None
    return row


def _notes(pairs: list[tuple[str, str]]) -> list[FileNote]:
    return [FileNote(file_name=name, reason=reason) for name, reason in pairs]


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
