"""Which layout a warehouse has, and whether this release can use it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration.errors import ConfigError, WarehouseMismatch

SQL_DIR = Path(__file__).parent / "sql"
MIGRATIONS_DIR = SQL_DIR / "migrations"
FIRST_VERSION = 1


def migration_files(migrations: Path = MIGRATIONS_DIR) -> dict[int, Path]:
    """The files <NNN>_<what>.sql by number, in order. Raises ConfigError where one is missing or there twice."""
    files: dict[int, Path] = {}
    for path in sorted(migrations.glob("*.sql")):
        number = re.match(r"(\d{3})_", path.name)
        expected = FIRST_VERSION + 1 + len(files)
        if not number or int(number[1]) != expected:
            raise ConfigError(f"{path}: the next migration has to be {expected:03}_<what>.sql", "rename the file")
        files[expected] = path
    return files


def current_version(migrations: Path = MIGRATIONS_DIR) -> int:
    """The layout that this release reads and writes."""
    return FIRST_VERSION + len(migration_files(migrations))


def read_version(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The layout of an open warehouse; None where it is empty."""
    try:
        version = connection.execute(_sql("upgrade_version")).fetchall()[0][0]
    except duckdb.CatalogException:
        # Asked only here: a list of the tables takes as long as opening the file.
        if not connection.execute(_sql("upgrade_tables")).fetchall()[0][0]:
            return None
        version = None
    return int(version) if version is not None else FIRST_VERSION


def check_version(connection: duckdb.DuckDBPyConnection, migrations: Path = MIGRATIONS_DIR) -> None:
    """Raises WarehouseMismatch where the warehouse has another layout than this release; an empty one has none.

    Comes before schema.sql, which would add the newer tables to an older file.
    """
    version, current = read_version(connection), current_version(migrations)
    if version is None or version == current:
        return
    if version > current:
        raise newer(version, current)
    raise WarehouseMismatch(
        f"the warehouse has layout {version}, this release needs {current}",
        "run `tripline upgrade`: it copies the file, then brings it up to date",
    )


def newer(version: int, current: int, what: str = "the warehouse") -> WarehouseMismatch:
    """The error for what a newer release wrote."""
    return WarehouseMismatch(
        f"{what} has layout {version}, this release knows layouts up to {current}", "install the release that wrote it"
    )


def note_version(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    """Writes down the layout; nothing is written where it says so already."""
    values = {"version": version, "written_at": datetime.now(UTC).replace(tzinfo=None)}
    for statement in connection.extract_statements(_sql("upgrade_note_version")):
        connection.execute(statement, {name: values[name] for name in statement.named_parameters})


def _sql(name: str) -> str:
    return (SQL_DIR / f"{name}.sql").read_text(encoding="utf-8")
