"""`tripline doctor`: versions, paths, locks, schema, and what to mend."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from orchestration.commands.diagnosis import (
    DoctorReport,
    Environment,
    Landing,
    LastBatch,
    LastBuild,
    Lock,
    Outbox,
    Paths,
    Place,
    Problem,
    SetAside,
)
from orchestration.commands.doctor_checks import find_problems
from orchestration.commands.doctor_view import render
from orchestration.commands.doctor_warm import warm_runs
from orchestration.commands.tables import Tables, open_tables
from orchestration.commands.words import listed, utc_now
from orchestration.errors import ConfigError
from orchestration.settings import Settings, get_settings
from orchestration.sources.landing import SET_ASIDE, list_files, settled_files
from orchestration.warehouse import read_sql

DISTRIBUTIONS = ("tripline", "duckdb", "dbt-core", "dbt-duckdb", "dagster", "sqlglot")


def run(console: Console, *, path: str | None, as_json: bool) -> None:
    """Exit code 1 where something needs a person."""
    settings = get_settings()
    if path is not None:
        print(path_of(settings, path))
        return
    report = doctor(settings)
    if as_json:
        print(report.model_dump_json())
    else:
        render(report, console)
    if not report.ok:
        sys.exit(1)


def path_of(settings: Settings, name: str) -> str:
    """The absolute path called `name` in `paths` of the report. Raises ConfigError for another name."""
    paths = _paths(settings).model_dump()
    if name not in paths:
        raise ConfigError(f"there is no path '{name}'", f"the paths are: {listed(paths, at_most=20)}")
    return str(paths[name])


def doctor(settings: Settings) -> DoctorReport:
    """Looks at everything and changes nothing, also where nothing is there yet or a batch holds the warehouse."""
    with open_tables(settings, prefer="warehouse") as tables:
        batch = _last_batch(tables)
        facts: dict[str, Any] = {
            "lock": _lock(tables, settings),
            "missing_columns": _missing_columns(tables, settings),
            "read_from": tables.homes.get("raw.load_batches"),
            "last_batch": batch,
            "last_build": _last_build(tables, batch),
            "quarantined": _quarantined(tables, batch),
            "outbox": _outbox(tables),
        }
        set_aside = tables.rows("doctor_set_aside")
        progress = tables.rows("doctor_sources")
    report = DoctorReport(
        checked_at=utc_now(),
        versions=_versions(),
        paths=_paths(settings),
        places=_places(settings),
        free_disk_bytes=shutil.disk_usage(_nearest_folder(settings.home)).free,
        landing=_landing(settings, set_aside),
        warm_runs=warm_runs(settings),
        environment=_environment(settings),
        problems=[],
        **facts,
    )
    problems: list[Problem] = find_problems(report, settings, tables.warehouse.problem, progress)
    return report.model_copy(update={"problems": problems})


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _paths(settings: Settings) -> Paths:
    return Paths(
        home=str(settings.home),
        warehouse=str(settings.warehouse_path),
        published=str(settings.published_path),
        landing=str(settings.landing_path),
        sources=str(settings.sources_path),
        dagster_home=str(settings.dagster_path),
        dbt_target=str(settings.dbt_target),
    )


def _places(settings: Settings) -> dict[str, Place]:
    return {name: _place(Path(path)) for name, path in _paths(settings).model_dump().items() if name != "home"}


def _place(path: Path) -> Place:
    """Sizes only by asking the file system: to open a database file by other means would drop DuckDB's lock on it."""
    if not path.exists():
        return Place(exists=False, bytes=0)
    return Place(exists=True, bytes=path.stat().st_size if path.is_file() else _folder_bytes(path))


def _folder_bytes(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:  # a batch moves files while we look
                continue
    return total


def _nearest_folder(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.is_dir())


def _lock(tables: Tables, settings: Settings) -> Lock:
    log = settings.warehouse_path.with_name(settings.warehouse_path.name + ".wal")
    left = log.stat().st_size if tables.warehouse.state == "open" and log.exists() else 0
    return Lock(state=tables.warehouse.state, holder=tables.warehouse.holder, left_log_bytes=left)


def _missing_columns(tables: Tables, settings: Settings) -> list[str]:
    """Of the tables that nothing can rebuild, what this version expects and the warehouse does not have."""
    if tables.warehouse.state != "open":
        return []
    with duckdb.connect() as pristine:
        pristine.execute(read_sql("schema"))
        expected = pristine.execute(read_sql("commands_columns"), {"database": "memory"}).fetchall()
    found = {tuple(row.values()) for row in tables.rows("commands_columns", database=settings.warehouse_path.stem)}
    return [".".join(column) for column in expected if column not in found]


def _last_batch(tables: Tables) -> LastBatch | None:
    rows = tables.rows("doctor_batch")
    return LastBatch(**rows[0]) if rows else None


def _last_build(tables: Tables, batch: LastBatch | None) -> LastBuild | None:
    row = tables.one("doctor_build")
    if row["built_batch_id"] is None:
        return None
    lag = (row["clock_at"] - row["watermark_at"]).total_seconds() if row["watermark_at"] else None
    behind = batch is not None and batch.batch_id > row["built_batch_id"]
    return LastBuild(
        **{name: row[name] for name in ("built_batch_id", "finished_at", "clock_at", "watermark_at")},
        lag_seconds=lag,
        is_unfinished=behind or row["is_broken_off"],
    )


def _quarantined(tables: Tables, batch: LastBatch | None) -> dict[str, int]:
    rows = tables.rows("doctor_quarantine", batch_id=batch.batch_id if batch else None)
    return {row["reason"]: row["events"] for row in rows}


def _outbox(tables: Tables) -> list[Outbox]:
    return [Outbox(**row) for row in tables.rows("doctor_outbox")]


def _landing(settings: Settings, noted: list[dict[str, Any]]) -> Landing:
    """The set-aside files are those that lie in .set_aside/ now: one that was mended and put back is no problem."""
    landing = settings.landing_path
    reasons = {row["file_name"]: row["set_aside_reason"] for row in noted}
    try:
        settled, written = settled_files(landing, settings.settle_seconds, wait=False)
        set_aside = _set_aside(landing / SET_ASIDE, reasons)
    except ConfigError as error:
        return Landing(unreadable=error.message, waiting=0, waiting_bytes=0, being_written=0, set_aside=[])
    return Landing(
        waiting=len(settled),
        waiting_bytes=sum(_place(path).bytes for path in settled),
        being_written=len(written),
        set_aside=set_aside,
    )


def _set_aside(folder: Path, reasons: dict[str, str]) -> list[SetAside]:
    files = []
    for path in list_files(folder):
        if path.name.endswith(".reason.txt"):
            continue
        name = path.relative_to(folder).as_posix()
        beside = path.with_name(path.name + ".reason.txt")
        told = beside.read_text(encoding="utf-8").splitlines()[:1] if beside.exists() else []
        files.append(SetAside(file_name=name, reason=told[0] if told else reasons.get(name, "no reason noted")))
    return files


def _environment(settings: Settings) -> Environment:
    return Environment(
        variables=sorted(name for name in os.environ if name.startswith("TRIPLINE_")),
        is_webhook_url_set=bool(settings.webhook_url),
        is_webhook_secret_set=bool(settings.webhook_secret and settings.webhook_secret.get_secret_value()),
        delivery=settings.delivery,
    )
