"""Keeping what nothing can rebuild, and bringing it back.

A backup holds the raw tables, the decision ledger, the delivery log, the seeds and the shop's own source
declarations. All else is computed from these: the first build after a restore computes every match anew, finds each
decision made and each delivery settled, and so sends nothing again.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version as release_of
from pathlib import Path

import duckdb
from pydantic import BaseModel, ConfigDict

from orchestration.atomic_files import remove_database, replace, sync, wal_of
from orchestration.backup_manifest import (
    MANIFEST,
    Column,
    Manifest,
    TableEntry,
    files_of,
    pack,
    read_manifest,
    sha256_of,
    unpacked,
)
from orchestration.errors import InputError, WarehouseUnreadable
from orchestration.named_sql import fetch_sql, identifier, literal, run_sql
from orchestration.schema_version import current_version, newer, note_version
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.upgrade import apply_migrations
from orchestration.warehouse import connect, open_file, read_sql

SEEDS_DIR = PROJECT_DIR / "seeds"
Progress = Callable[[str], None]


class BackupReport(BaseModel):
    """`tables` has the rows by table, `bytes` the size of the backup on disk."""

    model_config = ConfigDict(frozen=True)

    path: Path
    tables: dict[str, int]
    config_files: list[str]
    bytes: int
    seconds: float


class RestoreReport(BaseModel):
    """`config_replaced` are seeds and declarations that differed; what was there is beside each as .before-restore.
    `previous_path` is the warehouse that was there, if it held anything."""

    model_config = ConfigDict(frozen=True)

    path: Path
    tables: dict[str, int]
    config_written: list[Path]
    config_replaced: list[Path]
    previous_path: Path | None
    created_at: datetime
    seconds: float


def backup(
    settings: Settings, target: Path, *, seeds: Path = SEEDS_DIR, progress: Progress = lambda _: None
) -> BackupReport:
    """Writes a backup to `target`, a folder or, where the name ends in .tar, an archive; it is whole or not there.

    Files that wait in the landing folder are not in it. Raises InputError where `target` exists or there is no
    warehouse, WarehouseLocked where another process keeps it for longer than `settings.lock_timeout_seconds`.
    """
    started, target = time.monotonic(), target.expanduser().absolute()
    if target.exists() and not (target.is_dir() and target.suffix != ".tar" and not any(target.iterdir())):
        raise InputError(f"{target} is there already", "name a folder or a .tar file that does not exist")
    if not settings.warehouse_path.exists():
        raise InputError(f"there is no warehouse at {settings.warehouse_path}", "see `tripline doctor`")
    folder = target.with_name(f".{target.name}.writing")
    with connect(settings.warehouse_path, wait_seconds=settings.lock_timeout_seconds) as connection:
        shutil.rmtree(folder, ignore_errors=True)  # left by a backup that was killed
        (folder / "tables").mkdir(parents=True)
        try:
            tables = _write_tables(connection, folder, progress)
            config_files = _copy_config(settings, seeds, folder)
            manifest = Manifest(
                release=release_of("tripline"),
                schema_version=current_version(),
                created_at=datetime.now(UTC).replace(tzinfo=None),
                tables=tables,
                files={path.relative_to(folder).as_posix(): sha256_of(path) for path in files_of(folder)},
            )
            (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n")
            size = sum(path.stat().st_size for path in [*files_of(folder), folder / MANIFEST])
            pack(folder, target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return BackupReport(
        path=target,
        tables={f"{table.schema_name}.{table.table_name}": table.rows for table in tables},
        config_files=config_files,
        bytes=size,
        seconds=time.monotonic() - started,
    )


def restore(
    settings: Settings,
    source: Path,
    *,
    force: bool = False,
    seeds: Path = SEEDS_DIR,
    progress: Progress = lambda _: None,
) -> RestoreReport:
    """Brings a backup back as the warehouse of `settings`, with its seeds and source declarations.

    The hashes are checked first, the rows counted after, and the warehouse takes its name in one rename. The next
    build computes everything else. Raises InputError where the backup is damaged, or the warehouse holds rows and
    `force` is not given (with it, the old file is kept beside), WarehouseMismatch for a backup of a newer release.
    """
    started, path = time.monotonic(), settings.warehouse_path
    path.parent.mkdir(parents=True, exist_ok=True)
    with unpacked(source.expanduser().absolute(), path.parent) as folder:
        manifest = read_manifest(folder, progress=progress)
        if manifest.schema_version > current_version():
            raise newer(manifest.schema_version, current_version(), "the backup")
        with _held(settings, force) as has_rows:
            next_path = path.with_name(f".{path.name}.restoring")
            try:
                _write_warehouse(next_path, folder, manifest, progress)
                written, replaced = _restore_config(settings, seeds, folder)
                previous = _keep(path) if has_rows else None
                replace(next_path, path)
            finally:
                remove_database(next_path)
    return RestoreReport(
        path=path,
        tables={f"{table.schema_name}.{table.table_name}": table.rows for table in manifest.tables},
        config_written=written,
        config_replaced=replaced,
        previous_path=previous,
        created_at=manifest.created_at,
        seconds=time.monotonic() - started,
    )


@contextmanager
def _held(settings: Settings, force: bool) -> Iterator[bool]:
    """Keeps everybody else out of the warehouse that is to be replaced; gives whether it holds anything.

    With `force`, a file that DuckDB cannot open, which is what a backup is for, counts as holding something; nobody
    else can open it either.
    """
    path = settings.warehouse_path
    try:
        connection = open_file(path, False, settings.lock_timeout_seconds)
    except WarehouseUnreadable:
        if not force:
            raise
        yield True
        return
    try:
        try:
            has_rows = _has_rows(connection)
        except duckdb.Error:  # damaged further in
            has_rows = True
        if has_rows and not force:
            raise InputError(f"{path} is not empty", "--force puts the backup there and keeps the old file")
        with suppress(duckdb.Error):  # or its log would stay behind: `_keep` moves what is left of it
            connection.execute("checkpoint")
        yield has_rows
    finally:
        connection.close()


def _write_tables(connection: duckdb.DuckDBPyConnection, folder: Path, progress: Progress) -> list[TableEntry]:
    entries = []
    connection.execute("begin")  # one snapshot of all tables
    for schema, table in fetch_sql(connection, "backup_tables"):
        progress(f"{schema}.{table}")
        file = f"tables/{schema}.{table}.parquet"
        words = {"table": identifier(schema, table), "file": literal(folder / file)}
        names = {"schema_name": schema, "table_name": table}
        rows = run_sql(connection, "backup_table", words=words)
        columns = connection.execute(read_sql("backup_columns"), names).fetchall()
        described = [Column(name=name, data_type=kind, is_nullable=nullable) for name, kind, nullable in columns]
        entries.append(TableEntry(**names, file=file, rows=rows, columns=described))
    connection.execute("commit")
    return entries


def _config_folders(settings: Settings, seeds: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Where configuration lies, by its folder in the backup, and the endings of its files."""
    return {"seeds": (seeds, (".csv",)), "sources": (settings.sources_path, (".yml", ".yaml"))}


def _copy_config(settings: Settings, seeds: Path, folder: Path) -> list[str]:
    copied = []
    for name, (place, endings) in _config_folders(settings, seeds).items():
        (folder / name).mkdir()
        for path in sorted(place.iterdir()) if place.is_dir() else []:
            if path.is_file() and path.suffix in endings:
                shutil.copyfile(path, folder / name / path.name)
                copied.append(f"{name}/{path.name}")
    return copied


def _restore_config(settings: Settings, seeds: Path, folder: Path) -> tuple[list[Path], list[Path]]:
    """The files written, and those of them that replaced another one."""
    written, replaced = [], []
    for name, (place, _) in _config_folders(settings, seeds).items():
        for path in sorted((folder / name).glob("*")):
            present = place / path.name
            if present.exists() and present.read_bytes() == path.read_bytes():
                continue
            place.mkdir(parents=True, exist_ok=True)
            if present.exists():
                shutil.copyfile(present, present.with_name(f"{present.name}.before-restore"))
                replaced.append(present)
            partial = present.with_name(f".{present.name}.restoring")
            shutil.copyfile(path, partial)
            replace(partial, present)
            written.append(present)
    return written, replaced


def _has_rows(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the warehouse holds anything that a backup would."""
    tables = [identifier(schema, table) for schema, table in fetch_sql(connection, "backup_tables")]
    return any(run_sql(connection, "backup_count", words={"table": table}) for table in tables)


def _write_warehouse(path: Path, folder: Path, manifest: Manifest, progress: Progress) -> None:
    """A warehouse at `path` with the backup's tables, in this release's layout."""
    remove_database(path)  # left by a restore that was killed
    with duckdb.connect(str(path)) as connection:
        for entry in manifest.tables:
            name = f"{entry.schema_name}.{entry.table_name}"
            progress(name)
            columns = (_column_sql(column) for column in entry.columns)
            words = {
                "schema": identifier(entry.schema_name),
                "table": identifier(entry.schema_name, entry.table_name),
                "columns": ", ".join(columns),
                "file": literal(folder / entry.file),
            }
            run_sql(connection, "backup_restore_table", words=words)
            if (rows := run_sql(connection, "backup_count", words=words)) != entry.rows:
                raise InputError(f"the backup's {name} has {rows} rows instead of {entry.rows}", "use another backup")
        note_version(connection, manifest.schema_version)
        apply_migrations(connection, manifest.schema_version, progress=progress)
        connection.execute(read_sql("schema"))
        connection.execute("checkpoint")


def _column_sql(column: Column) -> str:
    return f"{identifier(column.name)} {column.data_type}{'' if column.is_nullable else ' not null'}"


def _keep(path: Path) -> Path:
    """A second name for the file that is about to lose its own: nothing is copied, and at no time is there none."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    kept = path.with_name(f"{path.name}.before-restore-{stamp}")
    kept.hardlink_to(path)
    log = wal_of(path)
    if log.exists():  # of a file that could not be opened; beside the new one it would be taken for its own
        log.replace(wal_of(kept))
    sync(path.parent)
    return kept
