"""Publishing the query tables into a file of their own, which analysts open while batches run.

DuckDB lets one process hold a file open for writing and shuts readers out meanwhile. So nobody reads the warehouse:
after each build its query tables go to `settings.published_path`. The last published file is copied, the build's
changes are applied to the copy, and the copy takes the name in one rename. A session that has the old file open keeps
its snapshot, and a process killed at any moment leaves either the old file or the new one.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict

from orchestration.atomic_files import remove_database, replace, size_of, wal_of
from orchestration.errors import ConfigError
from orchestration.named_sql import fetch_sql, identifier, literal, run_sql
from orchestration.settings import Settings
from orchestration.warehouse import bounded_memory, connect

# Raised when the meaning of what is written changes while the columns stay: older files are then made anew.
FORMAT = 1
READ_ONLY_MODE = 0o444
# The columns of publish_state.sql.
STATE = ["build_id", "upto_batch_id", "clock_at", "is_full", "is_finished", "prior_build_id"]
STATE += ["delivery_seq", "first_change"]
Progress = Callable[[str], None]
_one_at_a_time = threading.Lock()  # two threads would share DuckDB's lock on the warehouse


class PublishReport(BaseModel):
    """What publishing did. Where `is_published` is False the file is as it was, or not there, and `reason` says why.

    `rows_changed` counts rows taken out and put in, by table; small tables are always put in whole. `bytes` is the
    size of the published file. `views_left_out` are views that read what is not published, with DuckDB's words.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    is_published: bool
    rebuilt: bool = False
    reason: str
    seconds: float = 0.0
    bytes: int = 0
    rows_changed: dict[str, int] = {}
    views_left_out: dict[str, str] = {}


class PublishedBuild(BaseModel):
    """What a published file says of itself. Times are UTC without zone; `published_at` is wall time, `clock_at` the
    clock of the batch."""

    model_config = ConfigDict(frozen=True)

    build_id: str
    upto_batch_id: int
    clock_at: datetime
    published_at: datetime
    delivery_seq: int
    layout: str
    views: str


@dataclass(frozen=True)
class _Rule:
    """How one table is published; see publish_tables.sql."""

    name: str
    words: dict[str, str]
    method: str


@dataclass(frozen=True)
class _Plan:
    """`is_append_only`: the same build again, to which the push or a person added rows."""

    reason: str
    last: PublishedBuild | None = None
    is_append_only: bool = False

    @property
    def is_rebuild(self) -> bool:
        return self.last is None


class _NotEqual(Exception):
    """A published table came out with other rows than the warehouse's."""


def publish(settings: Settings, *, rebuild: bool = False, progress: Progress = lambda _: None) -> PublishReport:
    """Brings the published file up to the last finished build and the delivery log.

    Applies the build's changes where the file is of the build before it, and makes the file anew otherwise: no file,
    a broken one, another layout, a build in between, or with `rebuild`. Does nothing where no build has ended well
    since, or nothing is new. Raises WarehouseLocked where another process keeps the warehouse for longer than
    `settings.lock_timeout_seconds`, ConfigError where both files are to be the same one.
    """
    path = settings.published_path
    if path.resolve() == settings.warehouse_path.resolve():
        raise ConfigError(f"{path} is to be both the warehouse and the published database", "set TRIPLINE_PUBLISHED")
    if not settings.warehouse_path.exists():
        return PublishReport(path=path, is_published=False, reason="there is no warehouse yet")
    started = time.monotonic()
    with _one_at_a_time:
        try:
            report = _publish(settings, "a rebuild was asked for" if rebuild else "", progress)
        except (duckdb.Error, _NotEqual) as error:
            if rebuild:
                raise
            # On a new connection: DuckDB refuses to go on with one that met a damaged block.
            line = str(error).strip().splitlines()[0]
            report = _publish(settings, f"the last file could not be carried on: {line}", progress)
    return report.model_copy(update={"seconds": time.monotonic() - started})


def read_published(path: Path) -> PublishedBuild | None:
    """What the file at `path` holds; None where there is none. Raises duckdb.Error where it is broken."""
    if not path.exists():
        return None
    with duckdb.connect() as connection:
        return _read_last(connection, path)[0]


def _publish(settings: Settings, rebuild_because: str, progress: Progress) -> PublishReport:
    path = settings.published_path
    with connect(settings.warehouse_path, wait_seconds=settings.lock_timeout_seconds) as connection:
        state = _state(connection)
        plan = _plan(connection, path, state, rebuild_because)
        if state is None or isinstance(plan, str):
            return PublishReport(path=path, is_published=False, reason=str(plan), bytes=size_of(path))
        progress("making the published database anew" if plan.is_rebuild else "publishing what changed")
        with bounded_memory(connection), _next_file(connection, path, plan.is_rebuild):
            changed = _write_tables(connection, plan, state)
            left_out = {}
            if plan.last is None or plan.last.views != state["views"]:
                left_out = _write_views(connection)
            _note(connection, state)
    facts: dict[str, Any] = {"rebuilt": plan.is_rebuild, "reason": plan.reason, "views_left_out": left_out}
    return PublishReport(path=path, is_published=True, rows_changed=changed, bytes=size_of(path), **facts)


def _state(connection: duckdb.DuckDBPyConnection) -> dict[str, Any] | None:
    """The warehouse's last build, and the layout of what is to be published; None before the first build."""
    if not fetch_sql(connection, "publish_has_build")[0][0]:
        return None
    rows = fetch_sql(connection, "publish_state")
    if not rows:
        return None
    state: dict[str, Any] = dict(zip(STATE, rows[0], strict=True))
    run_sql(connection, "publish_tables")
    state["layout"] = f"{FORMAT}-{fetch_sql(connection, 'publish_layout')[0][0]}"
    views = "\n".join(sql for *_, sql in fetch_sql(connection, "publish_views"))
    state["views"] = md5(views.encode(), usedforsecurity=False).hexdigest()
    state["rules"] = [_rule(row) for row in fetch_sql(connection, "publish_rules")]
    values = {"upto_batch_id": state["upto_batch_id"], "build_id": state["build_id"]}
    state["counts"] = {rule.name: run_sql(connection, "publish_count", values, rule.words) for rule in state["rules"]}
    return state


def _rule(row: tuple[Any, ...]) -> _Rule:
    schema, table, method, key, rows_on, changed_on = row
    name = identifier(schema, table)
    words = {"schema": identifier(schema), "table": name, "rows_on": rows_on, "changed_on": changed_on}
    return _Rule(name=f"{schema}.{table}", words={**words, "key": key}, method=method)


def _plan(
    connection: duckdb.DuckDBPyConnection, path: Path, state: dict[str, Any] | None, rebuild_because: str
) -> _Plan | str:
    """What is to be done, or why nothing is."""
    if state is None or not state["is_finished"]:
        kept = "the published file stays as it was" if path.exists() else "nothing is published yet"
        return f"{'the last build did not end well' if state else 'there is no build yet'}; {kept}"
    if rebuild_because:
        return _Plan(rebuild_because)
    if not path.exists():
        return _Plan("there was no published file")
    if wal_of(path).exists():
        return _Plan("somebody wrote into the last file")
    last, counts = _read_last(connection, path)
    if last.layout != state["layout"]:
        return _Plan("the layout of the tables changed")
    if last.build_id == state["build_id"]:
        if counts == state["counts"] and last.views == state["views"]:
            return "nothing is new"
        return _Plan("rows were added after the build", last, is_append_only=True)
    if state["is_full"]:
        return _Plan("the build computed everything anew")
    if last.build_id != state["prior_build_id"]:
        return _Plan("the last file is not of the build before this one")
    return _Plan("the build's changes", last)


def _read_last(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[PublishedBuild, dict[str, int]]:
    """What the file says of itself. It is closed again before anything copies it."""
    connection.execute(f"attach {literal(path)} as published_file (read_only)")
    try:
        (row,) = fetch_sql(connection, "publish_last")
        counts = dict(fetch_sql(connection, "publish_last_counts"))
    finally:
        connection.execute("detach published_file")
    return PublishedBuild(**dict(zip(PublishedBuild.model_fields, row, strict=True))), counts


@contextmanager
def _next_file(connection: duckdb.DuckDBPyConnection, path: Path, is_rebuild: bool) -> Iterator[None]:
    """A database `published_file` to write into, empty or a copy of the last; takes the place of `path` at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for all, so that the next publish removes what a killed one left.
    next_path = path.with_name(f".{path.name}.next")
    remove_database(next_path)
    try:
        if not is_rebuild:
            shutil.copyfile(path, next_path)
        connection.execute(f"attach {literal(next_path)} as published_file")
        try:
            yield
            connection.execute("checkpoint published_file")
        except BaseException:
            with suppress(duckdb.Error):  # the first error tells more
                connection.rollback()
                connection.execute("detach published_file")
            raise
        connection.execute("detach published_file")
        if wal_of(next_path).exists():
            raise _NotEqual("the write-ahead log did not go into the file")
        next_path.chmod(READ_ONLY_MODE)
        # A log that somebody's writing left belongs to the old file; DuckDB refuses the new one beside it.
        wal_of(path).unlink(missing_ok=True)
        replace(next_path, path)
    finally:
        remove_database(next_path)


def _write_tables(connection: duckdb.DuckDBPyConnection, plan: _Plan, state: dict[str, Any]) -> dict[str, int]:
    """Rows changed by table. Raises _NotEqual where a table then has another number of rows than the warehouse's."""
    values = {name: state[name] for name in ("build_id", "upto_batch_id", "first_change")}
    if plan.last:
        values |= {"batch_id": plan.last.upto_batch_id, "delivery_seq": plan.last.delivery_seq}
    changed = {}
    connection.execute("begin")
    for rule in state["rules"]:
        if plan.is_append_only and rule.method != "append":
            continue
        method = "create" if plan.is_rebuild else rule.method
        changed[rule.name] = run_sql(connection, f"publish_{method}", values, rule.words)
    connection.execute("commit")
    for rule in state["rules"]:
        words = {**rule.words, "table": f"published_file.{rule.words['table']}"}
        count = run_sql(connection, "publish_count", values, words)
        if count != state["counts"][rule.name]:
            raise _NotEqual(f"{rule.name} has {count} rows instead of {state['counts'][rule.name]}")
    return {name: count for name, count in changed.items() if count}


def _write_views(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Makes the warehouse's views in the published file; returns those that cannot be, with the reason."""
    for names in fetch_sql(connection, "publish_old_views"):
        connection.execute(f"drop view published_file.{identifier(*names)}")
    waiting = {f"{schema}.{view}": (schema, sql) for schema, view, sql in fetch_sql(connection, "publish_views")}
    (warehouse,) = connection.execute("select current_database()").fetchall()[0]
    errors: dict[str, str] = {}
    connection.execute("use published_file")
    try:
        # A view needs those it reads, and one that was made again is younger than its readers: as long as it helps.
        while waiting:
            tried = {name: _make_view(connection, *view) for name, view in waiting.items()}
            errors = {name: why for name, why in tried.items() if why}
            if len(errors) == len(waiting):
                break
            waiting = {name: waiting[name] for name in errors}
    finally:
        connection.execute(f"use {identifier(warehouse)}")
    return errors


def _make_view(connection: duckdb.DuckDBPyConnection, schema: str, sql: str) -> str:
    """Why the view could not be made; empty where it was."""
    try:
        connection.execute(f"create schema if not exists {identifier(schema)}")
        connection.execute(sql)
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        return str(error).splitlines()[0]
    return ""


def _note(connection: duckdb.DuckDBPyConnection, state: dict[str, Any]) -> None:
    values = {name: state[name] for name in PublishedBuild.model_fields if name != "published_at"}
    values |= {"published_at": datetime.now(UTC).replace(tzinfo=None)}
    values |= {"tables": list(state["counts"]), "counts": list(state["counts"].values())}
    run_sql(connection, "publish_note", values)
