"""The push's side of the warehouse: claiming outbox rows, and writing down what became of them.

Every function is one short transaction on a connection that the caller opens and closes, so that batches can run
while rows are on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from orchestration.destinations.base import CrashPolicy, OutboxRow, SendResult
from orchestration.named_sql import run_sql
from orchestration.warehouse import read_sql

ENTRY_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("idempotency_key", "decision_id", "destination", "campaign")),
        *((name, pa.string()) for name in ("trigger_name", "user_id", "status")),
        ("attempt", pa.int64()),
        ("push_id", pa.string()),
        ("recorded_at", pa.timestamp("us")),
        ("http_status", pa.int64()),
        ("answer", pa.string()),
        ("retry_at", pa.timestamp("us")),
    ]
)


TERMS_SCHEMA = pa.schema(
    [
        ("destination", pa.string()),
        ("policy", pa.string()),
        ("needs", pa.list_(pa.string())),
        ("is_open", pa.bool_()),
        ("has_history", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class Failures:
    """A destination's failures since anything arrived: groups of rows, and when (UTC without zone)."""

    groups: int
    since: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A result with the time before which the row is not to be tried again (UTC without zone)."""

    result: SendResult
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """`rows` are to be sent; `counts` is rows by the status written: claimed, cancelled, held, rejected, …"""

    rows: list[OutboxRow]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what terms a destination is served in one push."""

    destination: str
    policy: CrashPolicy
    needs: tuple[str, ...] = ()
    is_open: bool = False
    """Its circuit breaker is: nothing of it is due."""
    has_history: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Whose look into the outbox it is: the terms, and the push that looks (its id, and where the log ended before).

    `is_history`: the look is at matches that were too old to fire, instead of what fired.
    """

    terms: Sequence[Terms]
    push_id: str = ""
    from_seq: int = 0
    is_history: bool = False


def utc_now() -> datetime:
    """Wall time, UTC without zone, as the tables store it."""
    return datetime.now(UTC).replace(tzinfo=None)


def has_outbox(connection: duckdb.DuckDBPyConnection) -> bool:
    """False before the first build."""
    row = connection.execute(read_sql("push_has_outbox")).fetchone()
    return bool(row and row[0])


def last_seq(connection: duckdb.DuckDBPyConnection) -> int:
    """The number of the log's last row; 0 where there is none."""
    row = connection.execute(read_sql("push_last_seq")).fetchone()
    return int(row[0]) if row else 0


def find_due(
    connection: duckdb.DuckDBPyConnection, look: Look, now: datetime, line: Sequence[int] | None = None
) -> None:
    """Makes the temporary view push_due and what it stands on; works on a read-only connection too.

    `line`: only these numbers of the outbox, at least one.
    """
    run_sql(connection, "push_sources_history" if look.is_history else "push_sources")
    given = [
        {
            "destination": terms.destination,
            "policy": str(terms.policy),
            "needs": list(terms.needs),
            "is_open": terms.is_open,
            "has_history": terms.has_history,
        }
        for terms in look.terms
    ]
    connection.register("given_terms", pa.Table.from_pylist(given, schema=TERMS_SCHEMA))
    moment = {"now": now, "push_id": look.push_id, "from_seq": look.from_seq}
    run_sql(connection, "push_terms", moment)
    connection.unregister("given_terms")
    run_sql(connection, "push_due", words={"bound": _bound(line)})


def _bound(line: Sequence[int] | None) -> str:
    return "true" if line is None else f"outbox_seq in ({', '.join(str(int(seq)) for seq in line)})"


def line_up(connection: duckdb.DuckDBPyConnection, look: Look, destination: str, max_rows: int) -> list[int]:
    """The numbers of the next due rows of a destination, oldest first."""
    find_due(connection, look, utc_now())
    cursor = connection.execute(read_sql("push_line_up"), {"destination": destination, "max_rows": max_rows})
    return [seq for (seq,) in cursor.fetchall()]


def due_by_destination(connection: duckdb.DuckDBPyConnection, look: Look) -> dict[str, int]:
    """Rows that may be dealt with now, by destination."""
    find_due(connection, look, utc_now())
    return dict(connection.execute(read_sql("push_counts")).fetchall())


def held_by_destination(connection: duckdb.DuckDBPyConnection, look: Look) -> dict[str, int]:
    """Rows in doubt that wait for a person, by destination."""
    find_due(connection, look, utc_now())
    return dict(connection.execute(read_sql("push_held")).fetchall())


def failures_by_destination(connection: duckdb.DuckDBPyConnection) -> dict[str, Failures]:
    """Destinations of which the latest groups of rows all failed."""
    rows = connection.execute(read_sql("push_breakers")).fetchall()
    return {name: Failures(count, since, last) for name, count, since, last in rows}


def claim(
    connection: duckdb.DuckDBPyConnection,
    look: Look,
    line: Sequence[int],
    *,
    is_dry_run: bool,
    give_up_seconds: float | None,
) -> Claim:
    """Takes those of `line` (numbers of the outbox) that still are due, in one transaction: settles what is not to be
    sent, and claims the rest."""
    with _transaction(connection):
        find_due(connection, look, utc_now(), line)
        run_sql(connection, "push_choose")
        run_sql(connection, "push_judge", {"give_up_seconds": give_up_seconds}, {"bound": _bound(line)})
        run_sql(connection, "push_write_claim", {"is_dry_run": is_dry_run})
        counts = dict(connection.execute(read_sql("push_claim_counts")).fetchall())
        rows = [] if is_dry_run else _fetch_rows(connection)
    return Claim(rows, counts)


def rows_to_send(
    connection: duckdb.DuckDBPyConnection,
    look: Look,
    *,
    destination: str,
    campaign: str | None,
    max_rows: int,
    give_up_seconds: float | None,
) -> list[OutboxRow]:
    """What `claim` would send of the first `max_rows` due rows, or of those of one campaign; claims nothing.

    Works on a read-only connection too.
    """
    find_due(connection, look, utc_now())
    connection.execute(
        read_sql("preview_choose"), {"destination": destination, "campaign": campaign, "max_rows": max_rows}
    )
    line = [seq for (seq,) in connection.execute(read_sql("preview_chosen")).fetchall()]
    if not line:
        return []
    run_sql(connection, "push_judge", {"give_up_seconds": give_up_seconds}, {"bound": _bound(line)})
    connection.execute(read_sql("preview_judged"))
    return _fetch_rows(connection)


def _fetch_rows(connection: duckdb.DuckDBPyConnection) -> list[OutboxRow]:
    cursor = connection.execute(read_sql("push_claimed"))
    names = [column[0] for column in cursor.description]
    rows = (dict(zip(names, values, strict=True)) for values in cursor.fetchall())
    return [OutboxRow(**{**row, "external_ids": _texts(row["external_ids"])}) for row in rows]


def _texts(external_ids: str | None) -> dict[str, str]:
    return {kind: str(value) for kind, value in json.loads(external_ids or "{}").items() if value is not None}


def record(connection: duckdb.DuckDBPyConnection, entries: Sequence[Entry], push_id: str) -> None:
    """Appends one row per entry, in one transaction."""
    if not entries:
        return
    now = utc_now()
    table = pa.Table.from_pylist([_as_row(entry, push_id, now) for entry in entries], schema=ENTRY_SCHEMA)
    connection.register("push_entries", table)
    with _transaction(connection):
        connection.execute(read_sql("push_record"))
    connection.unregister("push_entries")


def fingerprint(connection: duckdb.DuckDBPyConnection, look: Look, now: datetime) -> str | None:
    find_due(connection, look, now)
    row = connection.execute(read_sql("push_fingerprint")).fetchone()
    return row[0] if row else None


def _as_row(entry: Entry, push_id: str, now: datetime) -> dict[str, object]:
    result = entry.result
    row = result.row
    return {
        "idempotency_key": row.idempotency_key,
        "decision_id": row.decision_id,
        "destination": row.destination,
        "campaign": row.campaign,
        "trigger_name": row.trigger_name,
        "user_id": row.user_id,
        "status": str(result.outcome),
        "attempt": row.attempt,
        "push_id": push_id,
        "recorded_at": now,
        "http_status": result.http_status,
        "answer": result.answer or None,
        "retry_at": entry.retry_at,
    }


class _transaction:
    """Commits at the end of the block, rolls back where it raised."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.begin()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._connection.commit()
        else:
            self._connection.rollback()
