"""The trigger SQL of the project on the events of a few users, in a DuckDB in memory.

Events are typed by the loader's own SQL and judged by the compiled models: nothing about a trigger is said here, and
what one evaluation wrote is rolled back before the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from orchestration.commands.near_miss import is_measured, is_wait, measuring, product_ids, threshold_of
from orchestration.load import write_batch
from orchestration.named_sql import identifier, literal, run_sql
from orchestration.settings import Settings
from orchestration.sources.lines import lines_of
from orchestration.validation.rules import DATABASE
from orchestration.warehouse import read_sql

LIMITS = "int_batch__limits"  # stands in the rules as it was compiled with
MEMORY = "512MiB"

Row = dict[str, Any]


@dataclass(frozen=True)
class Evaluation:
    """`triggers`: a row per user and trigger (validation_triggers.sql); `measured`: (trigger, user) to the value that
    the events came closest with and the threshold; `events`: what evidence names, by event key; `rows`: what became of
    each line."""

    users: list[Row]
    triggers: list[Row]
    events: dict[str, Row]
    rows: list[Row]
    measured: dict[tuple[str, str], tuple[Decimal, Decimal]]


class Evaluator:
    """For one thread at a time. `version` names the rules, which are as the project's files were when they were
    compiled; no trigger looks back for longer than `window_seconds`."""

    def __init__(self, rules: Path, settings: Settings) -> None:
        self.version = rules.stem
        self._settings = settings
        # A query over a few rows gains nothing from a second thread, and the loader and the collector want theirs.
        self._connection = connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": MEMORY})
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"attach ':memory:' as {DATABASE}")  # the name that the compiled SQL has
        connection.execute(f"attach {literal(rules)} as rules_file (read_only)")
        connection.execute(f"copy from database rules_file to {DATABASE}")
        connection.execute("detach rules_file")
        connection.execute(f"use {DATABASE}")
        self._insertions: list[str] = []
        for schema, name, is_view, sql in connection.execute(read_sql("validation_models")).fetchall():
            if name != LIMITS:
                self._add(identifier(schema), identifier(schema, name), is_view, sql)
        for name in ("load_begin", "load_macros", "validation_setup"):
            connection.execute(read_sql(name))
        self._thresholds = self._read_thresholds()
        self.window_seconds = int(self._rows("validation_window")[0]["window_seconds"])

    def _add(self, schema: str, relation: str, is_view: bool, sql: str) -> None:
        self._connection.execute(f"create schema if not exists {schema}")
        if is_view:
            self._connection.execute(f"create view {relation} as {sql}")
        else:
            self._connection.execute(f"create table {relation} as {sql}\nwith no data")
            self._insertions.append(f"insert into {relation} {sql}")

    def _read_thresholds(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for row in self._rows("validation_thresholds"):
            found.setdefault(row["trigger_name"], {})[row["parameter"]] = row["value"]
        return found

    def close(self) -> None:
        self._connection.close()

    def evaluate(self, lines: bytes, at: datetime) -> Evaluation:
        """What the SQL says of the events, one a line in the wire format, if `at` (UTC without zone) is now.

        Users share nothing but the time that planning takes: of several it says what it says of each alone, as long as
        no device is in the events of two. Raises duckdb.Error where the SQL fails on the events.
        """
        with self.loaded(lines, at):
            events = {row["event_key"]: row for row in self._rows("validation_events")}
            users, triggers = self._rows("validation_users"), self._rows("validation_triggers")
            return Evaluation(users, triggers, events, self._rows("validation_rows"), self._measure())

    def crossings(self, lines: bytes, at: datetime, first_new: int) -> list[Row]:
        """(user_id, trigger_name, flagged_since) of the thresholds that the lines from number `first_new` on crossed,
        and not those before them."""
        with self.loaded(lines, at):
            return _as_rows(self._connection.execute(read_sql("validation_crossings"), {"first_new": first_new}))

    @contextmanager
    def loaded(self, lines: bytes, at: datetime) -> Iterator[duckdb.DuckDBPyConnection]:
        """The tables as the events leave them, rolled back at the end."""
        connection = self._connection
        connection.execute("begin")
        try:
            connection.register("load_chunk", lines_of(lines))
            connection.execute(read_sql("load_collected"), {"file_index": 1})
            connection.unregister("load_chunk")
            write_batch(connection, self._settings, replay=False, started_at=at)
            run_sql(connection, "validation_clock", {"clock_at": at})
            for insertion in self._insertions:
                connection.execute(insertion)
            yield connection
        finally:
            connection.execute("rollback")

    def _measure(self) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
        found = {}
        for trigger, thresholds in self._thresholds.items():
            is_off = trigger == "engaged_with_product" and not product_ids(thresholds)
            if is_off or is_wait(trigger) or not is_measured(trigger):
                continue
            sql, values = measuring(trigger, thresholds)
            for row in _as_rows(self._connection.execute(sql, values or None)):
                if row["observed_value"] is not None:
                    measured = Decimal(row["observed_value"])
                    found[trigger, row["user_id"]] = (measured, threshold_of(trigger, thresholds))
        return found

    def _rows(self, name: str) -> list[Row]:
        return _as_rows(self._connection.execute(read_sql(name)))


def _as_rows(cursor: duckdb.DuckDBPyConnection) -> list[Row]:
    names: Sequence[str] = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
