"""Read-only sight of the tables for commands: from the warehouse, from the published database, or empty."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict

from orchestration.settings import PROJECT_DIR, Settings
from orchestration.warehouse import read_sql

SEEDS_DIR = PROJECT_DIR / "seeds"
SEEDS = ("triggers", "trigger_thresholds", "campaigns", "passive_events", "settings", "suppressed_users")
_HOLDER = re.compile(r"held in (?P<program>.+?) \(PID (?P<pid>\d+)\)")


class Holder(BaseModel):
    """The process that holds a database file; `command` is cut to 200 characters."""

    model_config = ConfigDict(frozen=True)

    pid: int
    command: str


class DatabaseFile(BaseModel):
    """Whether a database file could be opened; `problem` is DuckDB's own word where it could not."""

    model_config = ConfigDict(frozen=True)

    path: Path
    state: Literal["open", "missing", "locked", "unreadable"]
    holder: Holder | None = None
    problem: str = ""
    is_tried: bool = True


@dataclass
class Tables:
    """An in-memory database whose tables are those of the files, under the same names; missing ones are empty.

    `homes`: table name with schema -> 'warehouse' or 'published'.
    """

    connection: duckdb.DuckDBPyConnection
    warehouse: DatabaseFile
    published: DatabaseFile
    homes: dict[str, str]

    def rows(self, name: str, /, **values: Any) -> list[dict[str, Any]]:
        """The rows of orchestration/sql/<name>.sql as dictionaries."""
        return self.rows_of(read_sql(name), **values)

    def rows_of(self, sql: str, /, **values: Any) -> list[dict[str, Any]]:
        cursor = self.connection.execute(sql, values or None)
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, name: str, /, **values: Any) -> dict[str, Any]:
        """The single row of a query that always has one."""
        (row,) = self.rows(name, **values)
        return row

    def has(self, table: str) -> bool:
        return table in self.homes


@contextmanager
def open_tables(settings: Settings, *, prefer: Literal["warehouse", "published"]) -> Iterator[Tables]:
    """Opens both files read-only; where both have a table, the one of `prefer` is taken.

    With `prefer='published'` the warehouse is opened only if there is no published file: reading the warehouse
    keeps batches out for as long as it is open. Never raises because a file is missing, locked or broken.
    """
    with _empty_tables({}) as connection:
        published_alias = settings.published_path.stem
        if published_alias == settings.warehouse_path.stem:
            published_alias += "_published"
        published = _attach(connection, settings.published_path, published_alias)
        if prefer == "published" and published.state == "open":
            warehouse = _untried(settings)
        else:
            # Under its own name, which is what views in it call it.
            warehouse = _attach(connection, settings.warehouse_path, settings.warehouse_path.stem)
        aliases = {"published": published_alias, "warehouse": settings.warehouse_path.stem}
        opened = [name for name, file in (("published", published), ("warehouse", warehouse)) if file.state == "open"]
        homes = _show(connection, {name: aliases[name] for name in sorted(opened, key=lambda name: name == prefer)})
        yield Tables(connection, warehouse, published, homes)


@contextmanager
def open_published(settings: Settings, limits: Mapping[str, Any]) -> Iterator[Tables]:
    """The published file alone, whatever happens to it: for what serves others and must never keep a batch out.

    `limits`: DuckDB's own settings, of threads and memory. Never raises because the file is missing or broken.
    """
    with _empty_tables(limits) as connection:
        alias = settings.published_path.stem
        published = _attach(connection, settings.published_path, alias)
        homes = _show(connection, {"published": alias} if published.state == "open" else {})
        yield Tables(connection, _untried(settings), published, homes)


def _untried(settings: Settings) -> DatabaseFile:
    return DatabaseFile(path=settings.warehouse_path, state="missing", is_tried=False)


@contextmanager
def _empty_tables(limits: Mapping[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config=dict(limits))
    try:
        connection.execute("set global timezone = 'UTC'")  # for its cursors too
        connection.execute(read_sql("schema"))
        connection.execute(read_sql("commands_tables"))
        yield connection
    finally:
        connection.close()


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, alias: str) -> DatabaseFile:
    if not path.exists():
        return DatabaseFile(path=path, state="missing")
    quoted_path, quoted_alias = str(path).replace("'", "''"), alias.replace('"', '""')
    try:
        connection.execute(f"attach '{quoted_path}' as \"{quoted_alias}\" (read_only)")
    except duckdb.Error as error:
        text = str(error)
        if isinstance(error, duckdb.IOException) and "lock" in text.lower():
            return DatabaseFile(path=path, state="locked", holder=_holder(text), problem=text)
        return DatabaseFile(path=path, state="unreadable", problem=text)
    return DatabaseFile(path=path, state="open")


def _holder(text: str) -> Holder | None:
    found = _HOLDER.search(text)
    if not found:
        return None
    pid = int(found["pid"])
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:  # no /proc, somebody else's process, or gone meanwhile
        command = ""
    return Holder(pid=pid, command=(command or found["program"])[:200])


def _show(connection: duckdb.DuckDBPyConnection, aliases: dict[str, str]) -> dict[str, str]:
    """Puts a view in the place of every empty table that an attached file has; the last file counts."""
    here = [tuple(row) for row in connection.execute(read_sql("commands_own_tables")).fetchall()]
    here += [("config", seed) for seed in SEEDS]
    homes: dict[str, str] = {}
    for name, alias in aliases.items():
        found = connection.execute(read_sql("commands_tables_of"), {"database": alias}).fetchall()
        there = {tuple(row) for row in found}
        homes |= {f"{schema}.{table}": name for schema, table in here if (schema, table) in there}
    for table, name in homes.items():
        connection.execute(f"drop table if exists {table}")
        connection.execute(f'create view {table} as from "{aliases[name]}".{table}')
    for seed in SEEDS:
        if f"config.{seed}" not in homes:
            read_seed(connection, seed, f"config.{seed}")
    return homes


def read_seed(connection: duckdb.DuckDBPyConnection, seed: str, target: str) -> None:
    """A view `target` of seeds/<seed>.csv as it stands now; all columns are text."""
    path = str(SEEDS_DIR / f"{seed}.csv").replace("'", "''")
    connection.execute(f"create or replace view {target} as from read_csv('{path}', header = true, all_varchar = true)")
