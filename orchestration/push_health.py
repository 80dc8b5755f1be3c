"""Whether every destination keeps up: for people and for Dagster's check."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from orchestration import delivery_log
from orchestration.delivery_log import utc_now
from orchestration.warehouse import read_sql


@dataclass(frozen=True, slots=True)
class Health:
    """One destination. Seconds are None where nothing is unsent, or nothing failed since something arrived."""

    destination: str
    unsent_rows: int
    oldest_seconds: int | None
    """Age of the oldest unsent firing by the clock of the latest batch."""
    failing_seconds: int | None
    """Since the first failure after the last arrival, by the wall clock."""

    def alarm(self, seconds: float) -> str:
        """What is wrong for longer than `seconds`; empty where nothing is."""
        if self.failing_seconds is not None and self.failing_seconds > seconds:
            return f"{self.destination}: nothing arrived for {self.failing_seconds} s, {self.unsent_rows} rows unsent"
        if self.oldest_seconds is not None and self.oldest_seconds > seconds:
            return f"{self.destination}: {self.unsent_rows} rows unsent, the oldest for {self.oldest_seconds} s"
        return ""


def health_of_destinations(connection: duckdb.DuckDBPyConnection) -> list[Health]:
    """Every destination with unsent rows or failures; `connection` may be read-only."""
    if not delivery_log.has_outbox(connection):
        return []
    failures, now = delivery_log.failures_by_destination(connection), utc_now()
    unsent = {name: facts for name, *facts in connection.execute(read_sql("push_health")).fetchall()}
    healths = []
    for name in sorted({*failures, *unsent}):
        rows, oldest_seconds = unsent.get(name, (0, None))
        failing = int((now - failures[name].since).total_seconds()) if name in failures else None
        healths.append(Health(name, rows, oldest_seconds, failing))
    return healths
