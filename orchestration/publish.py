"""Publishing the query tables into a file of their own, which analysts open while batches run.

DuckDB lets one process hold a file open for writing and shuts readers out meanwhile. So nobody reads the warehouse:
after each build its query tables go to `settings.published_path`. The changes are applied to a file that nobody has
open, the last but one or a copy of the last, and it takes the name in one rename. A session that has the old file open
keeps its snapshot, and a process killed at any moment leaves either the old file or the new one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict

from orchestration.atomic_files import remove_database, size_of, wal_of
from orchestration.errors import ConfigError
from orchestration.named_sql import fetch_sql, identifier, literal, run_sql
from orchestration.published_files import NotSettled, PublishedBuild, next_file, read_last, settle, spare_of, take_spare
from orchestration.settings import Settings
from orchestration.warehouse import bounded_memory, connect

# Raised when the meaning of what is written changes while the columns stay: older files are then made anew.
FORMAT = 2
# The columns of publish_state.sql.
STATE = ["build_id", "upto_batch_id", "clock_at", "is_full", "is_finished", "prior_build_id"]
STATE += ["delivery_seq"]
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


@dataclass(frozen=True)
class _Rule:
    """How one table is published; see publish_tables.sql."""

    name: str
    words: dict[str, str]
    method: str


@dataclass(frozen=True)
class _Plan:
    """`last` is what the file holds that is carried on. `is_append_only`: the same build again, to which the push or a
    person added rows. `spare` is that file where it is not the published one; `is_two_builds`: it lacks what the
    published one's own build changed, too."""

    reason: str
    last: PublishedBuild | None = None
    is_append_only: bool = False
    spare: Path | None = None
    is_two_builds: bool = False

    @property
    def is_rebuild(self) -> bool:
        return self.last is None

    def begun_with(self, path: Path) -> Path | None:
        return None if self.is_rebuild else self.spare or path


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
        settle(path)
        try:
            report = _publish(settings, "a rebuild was asked for" if rebuild else "", progress)
        except (duckdb.Error, _NotEqual, NotSettled) as error:
            if rebuild:
                raise
            # On a new connection: DuckDB refuses to go on with one that met a damaged block.
            line = str(error).strip().splitlines()[0]
            report = _publish(settings, f"the last file could not be carried on: {line}", progress)
    return report.model_copy(update={"seconds": time.monotonic() - started})


def _publish(settings: Settings, rebuild_because: str, progress: Progress) -> PublishReport:
    path = settings.published_path
    with connect(settings.warehouse_path, wait_seconds=settings.lock_timeout_seconds) as connection:
        state = _state(connection)
        plan = _plan(connection, path, state, rebuild_because)
        if state is None or isinstance(plan, str):
            return PublishReport(path=path, is_published=False, reason=str(plan), bytes=size_of(path))
        progress("making the published database anew" if plan.is_rebuild else "publishing what changed")
        plan = _onto_spare(connection, path, plan, state)
        _note_affected(connection, path, plan)
        with bounded_memory(connection), next_file(connection, path, begun_with=plan.begun_with(path)):
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
    last, counts = read_last(connection, path)
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


def _onto_spare(connection: duckdb.DuckDBPyConnection, path: Path, plan: _Plan, state: dict[str, Any]) -> _Plan:
    """The same, carried on from the spare file where nobody has it open and the two builds' changes are known."""
    if plan.last is None:
        remove_database(spare_of(path))  # of another layout or another history
        return plan
    spare = take_spare(path)
    if spare is None:
        return plan
    try:
        held, _ = read_last(connection, spare)
    except duckdb.Error:
        return plan  # of an older version, or broken; a copy takes its place
    if held.layout != state["layout"]:
        return plan
    onto = replace(plan, last=held, spare=spare)
    if held.build_id == state["build_id"]:
        return replace(onto, is_append_only=True)
    if held.build_id == state["prior_build_id"]:
        return replace(onto, is_append_only=False)
    published = plan.last
    if published.build_id == state["prior_build_id"] and held.build_id == published.prior_build_id:
        return replace(onto, is_two_builds=True)
    return plan


def _note_affected(connection: duckdb.DuckDBPyConnection, path: Path, plan: _Plan) -> None:
    """The temporary table publish_affected: whose rows are swapped, and from when on."""
    run_sql(connection, "publish_affected")
    if plan.is_two_builds:
        connection.execute(f"attach {literal(path)} as published_file (read_only)")
        try:
            run_sql(connection, "publish_affected_before")
        finally:
            connection.execute("detach published_file")


def _write_tables(connection: duckdb.DuckDBPyConnection, plan: _Plan, state: dict[str, Any]) -> dict[str, int]:
    """Rows changed by table. Raises _NotEqual where a table then has another number of rows than the warehouse's."""
    values = {name: state[name] for name in ("build_id", "upto_batch_id")}
    values["first_change"] = fetch_sql(connection, "publish_first_change")[0][0]
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
