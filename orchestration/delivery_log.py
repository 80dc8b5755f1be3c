"""The push's side of the warehouse: claiming outbox rows, and writing down what became of them.

Every function is one short transaction on a connection that the caller opens and closes, so that batches can run
while rows are on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from orchestration.destinations.base import CrashPolicy, OutboxRow, SendResult
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


@dataclass(frozen=True, slots=True)
class Entry:
    """A result with the time before which the row is not to be tried again (UTC without zone)."""

    result: SendResult
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """`rows` are to be sent; `counts` is rows by the status written: claimed, cancelled, dry_run."""

    rows: list[OutboxRow]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Doubt:
    """Crash policies in force, by destination; those not named resend."""

    policies: Mapping[str, CrashPolicy]

    def named(self, policy: CrashPolicy) -> list[str]:
        return sorted(name for name, its_policy in self.policies.items() if its_policy is policy)


def utc_now() -> datetime:
    """Wall time, UTC without zone, as the tables store it."""
    return datetime.now(UTC).replace(tzinfo=None)


def has_outbox(connection: duckdb.DuckDBPyConnection) -> bool:
    """False before the first build."""
    row = connection.execute(read_sql("push_has_outbox")).fetchone()
    return bool(row and row[0])


def find_due(
    connection: duckdb.DuckDBPyConnection,
    doubt: Doubt,
    *,
    now: datetime,
    push_id: str = "",
    destination: str | None = None,
    max_rows: int | None = None,
) -> None:
    """Fills the temporary table push_due; works on a read-only connection too."""
    connection.execute(
        read_sql("push_due"),
        {
            "now": now,
            "push_id": push_id,
            "destination": destination,
            "holding": doubt.named(CrashPolicy.HOLD),
            "reconciling": doubt.named(CrashPolicy.RECONCILE),
            "max_rows": max_rows,
        },
    )


def due_by_destination(connection: duckdb.DuckDBPyConnection, doubt: Doubt, push_id: str) -> dict[str, int]:
    """Rows that may be sent now, by destination."""
    find_due(connection, doubt, now=utc_now(), push_id=push_id)
    return dict(connection.execute(read_sql("push_destinations")).fetchall())


def held_by_destination(connection: duckdb.DuckDBPyConnection, doubt: Doubt) -> dict[str, int]:
    """Rows in doubt that wait for a person, by destination."""
    holding = doubt.named(CrashPolicy.HOLD)
    return dict(connection.execute(read_sql("push_held"), {"holding": holding}).fetchall())


def claim(
    connection: duckdb.DuckDBPyConnection,
    doubt: Doubt,
    *,
    push_id: str,
    destination: str,
    max_rows: int,
    is_dry_run: bool,
) -> Claim:
    """Takes up to `max_rows` due rows, in one transaction: cancels those whose match is gone, claims the others."""
    now = utc_now()
    with _transaction(connection):
        find_due(connection, doubt, now=now, push_id=push_id, destination=destination, max_rows=max_rows)
        connection.execute(read_sql("push_claim"), {"now": now, "push_id": push_id, "is_dry_run": is_dry_run})
        counts = dict(connection.execute(read_sql("push_claim_counts"), {"is_dry_run": is_dry_run}).fetchall())
        rows = [] if is_dry_run else _fetch_rows(connection)
    return Claim(rows, counts)


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


def fingerprint(connection: duckdb.DuckDBPyConnection, doubt: Doubt, now: datetime) -> str | None:
    find_due(connection, doubt, now=now)
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
