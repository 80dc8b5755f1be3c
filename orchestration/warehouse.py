"""Opening the warehouse, and the named SQL that Python runs in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import duckdb

from orchestration.errors import WarehouseLocked, WarehouseUnreadable
from orchestration.schema_version import check_version, current_version, note_version

SQL_DIR = Path(__file__).parent / "sql"
# As the builds' own, micro_batch_mib_per_thread in dbt_project.yml; DuckDB's advice is 125 MB at the least.
MEMORY_MIB_PER_THREAD = 200


@cache
def read_sql(name: str) -> str:
    """The text of orchestration/sql/<name>.sql."""
    return (SQL_DIR / f"{name}.sql").read_text(encoding="utf-8")


@contextmanager
def connect(
    path: Path, *, read_only: bool = False, wait_seconds: float = 0.0, is_known: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the warehouse at `path`, closed at the end; its own tables exist unless `read_only`.

    DuckDB lets one process hold a file open for writing. Waits up to `wait_seconds` for the other one,
    then raises WarehouseLocked. Raises WarehouseMismatch where another release's layout is in the file.
    `is_known`: this process opened it before and need not look at its layout again, which takes as long as opening.
    """
    if not read_only:
        path.parent.mkdir(parents=True, exist_ok=True)
    connection = open_file(path, read_only, wait_seconds)
    try:
        connection.execute("set timezone = 'UTC'")
        # Not before the file is closed, as in dbt_project/profiles.yml: threads of a push share the open file.
        connection.execute("set checkpoint_threshold = '1TB'")
        if not is_known:
            check_version(connection)
            if not read_only:
                connection.execute(read_sql("schema"))
                note_version(connection, current_version())
        yield connection
    finally:
        connection.close()


def bound_memory(connection: duckdb.DuckDBPyConnection) -> str:
    """From now on DuckDB takes at most so much: by itself it keeps what it read until four fifths of the machine are
    full, so that what a batch takes would grow with history. Returns the limit that was."""
    threads, before = connection.execute(
        "select current_setting('threads'), current_setting('memory_limit')"
    ).fetchall()[0]
    connection.execute(f"set memory_limit = '{MEMORY_MIB_PER_THREAD * threads}MiB'")
    return str(before)


@contextmanager
def bounded_memory(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """`bound_memory` within the block."""
    before = bound_memory(connection)
    try:
        yield
    finally:
        connection.execute(f"set memory_limit = '{before}'")


def open_file(path: Path, read_only: bool, wait_seconds: float) -> duckdb.DuckDBPyConnection:
    """The file as it is, whatever its layout; raises WarehouseLocked after `wait_seconds`, WarehouseUnreadable
    where it is no database, damaged, or may not be opened."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            if not isinstance(error, duckdb.IOException) or "lock" not in str(error).lower():
                raise WarehouseUnreadable(
                    f"{path} cannot be opened as a warehouse: {str(error).splitlines()[0]}",
                    "`tripline restore --force` brings a backup back and keeps what is there under another name",
                ) from error
            if time.monotonic() >= deadline:
                raise WarehouseLocked(
                    f"{path} is held by another process",
                    "wait for the running batch to end, or see `tripline doctor`; "
                    "to query, open the published database, which is never locked",
                ) from error
            time.sleep(0.1)
