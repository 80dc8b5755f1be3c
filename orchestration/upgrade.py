"""Bringing a warehouse to the layout of this release, after a copy of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
from pydantic import BaseModel, ConfigDict

from orchestration.atomic_files import replace
from orchestration.errors import TriplineError, WarehouseMismatch
from orchestration.schema_version import (
    MIGRATIONS_DIR,
    current_version,
    migration_files,
    newer,
    note_version,
    read_version,
)
from orchestration.settings import Settings
from orchestration.warehouse import open_file

Progress = Callable[[str], None]


class UpgradeReport(BaseModel):
    """`from_version` is None where there is no warehouse yet. `copy_path` is the file as it was before; None, as
    `applied` is empty, where there was nothing to do."""

    model_config = ConfigDict(frozen=True)

    path: Path
    from_version: int | None
    to_version: int
    applied: list[str] = []
    copy_path: Path | None = None


def upgrade(
    settings: Settings, *, migrations: Path = MIGRATIONS_DIR, progress: Progress = lambda _: None
) -> UpgradeReport:
    """Copies the warehouse to <file>.before-<version>, then applies the waiting migrations in one transaction.

    Raises WarehouseMismatch for a file of a newer release or a migration that failed (the file is then as it was),
    WarehouseLocked where another process keeps it for longer than `settings.lock_timeout_seconds`.
    """
    path, current = settings.warehouse_path, current_version(migrations)
    if not path.exists():
        return UpgradeReport(path=path, from_version=None, to_version=current)
    connection = open_file(path, False, settings.lock_timeout_seconds)
    try:
        version = read_version(connection)
        if version is None or version == current:
            return UpgradeReport(path=path, from_version=version, to_version=current)
        if version > current:
            raise newer(version, current)
        progress("copying the warehouse")
        connection.execute("checkpoint")
        copied = _copy(path, path.with_name(f"{path.name}.before-{version}"))
        applied = apply_migrations(connection, version, migrations=migrations, progress=progress)
        connection.execute("checkpoint")
    finally:
        connection.close()
    return UpgradeReport(path=path, from_version=version, to_version=current, applied=applied, copy_path=copied)


def apply_migrations(
    connection: duckdb.DuckDBPyConnection,
    version: int,
    *,
    migrations: Path = MIGRATIONS_DIR,
    progress: Progress = lambda _: None,
) -> list[str]:
    """Takes an open warehouse from `version` to the current one, all or nothing; returns the files applied."""
    waiting = {number: path for number, path in migration_files(migrations).items() if number > version}
    connection.execute("begin")
    for number, path in waiting.items():
        progress(f"migration {path.name}")
        try:
            connection.execute(path.read_text(encoding="utf-8"))
            note_version(connection, number)
        except duckdb.Error as error:
            connection.rollback()
            raise WarehouseMismatch(
                f"migration {path.name} failed: {str(error).splitlines()[0]}",
                f"the warehouse is as it was, layout {version}; go on with the release that wrote it, and report this",
            ) from error
    connection.execute("commit")
    return [path.name for path in waiting.values()]


def _copy(path: Path, copy: Path) -> Path:
    """By a process of its own: this one closing a second descriptor of the file would drop DuckDB's lock on it."""
    partial = copy.with_name(f".{copy.name}.partial")
    try:
        done = subprocess.run(["cp", str(path), str(partial)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise TriplineError(f"{path} could not be copied: {done.stderr.strip()}", "nothing was changed; make room")
        replace(partial, copy)
    finally:
        partial.unlink(missing_ok=True)
    return copy
