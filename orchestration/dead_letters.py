"""A person's word on what no push sends by itself: rows that were refused, and rows in doubt that are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orchestration.delivery_log import utc_now
from orchestration.settings import Settings
from orchestration.warehouse import connect, read_sql


class Word(StrEnum):
    """What is to become of held rows."""

    DELIVERED = "delivered"  # the platform has them
    SEND = "send"  # it has not


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are meant. `reason` is part of theirs, in any case; times are UTC without zone and compare
    with when they were last written about. None: any."""

    destination: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    keys: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Letters:
    """Rows that were meant, by destination and reason."""

    counts: list[tuple[str, str, int]]

    @property
    def total(self) -> int:
        return sum(rows for _, _, rows in self.counts)


def redeliver(settings: Settings, wanted: Wanted, *, is_dry_run: bool = False) -> Letters:
    """Makes refused rows due again, under the same idempotency keys. Raises WarehouseLocked."""
    return _settle(settings, wanted, "rejected", "requeued", "to be sent again, by a person's word", is_dry_run)


def release(settings: Settings, wanted: Wanted, word: Word, *, is_dry_run: bool = False) -> Letters:
    """Settles rows in doubt that are held. Raises WarehouseLocked."""
    if word is Word.DELIVERED:
        return _settle(settings, wanted, "held", "delivered", "delivered, by a person's word", is_dry_run)
    return _settle(settings, wanted, "held", "requeued", "not delivered, by a person's word", is_dry_run)


def _settle(settings: Settings, wanted: Wanted, status: str, becomes: str, answer: str, is_dry_run: bool) -> Letters:
    given = {
        "status": status,
        "destination": wanted.destination,
        "reason": wanted.reason,
        "since": wanted.since,
        "until": wanted.until,
        "keys": list(wanted.keys) if wanted.keys is not None else None,
    }
    with connect(settings.warehouse_path, wait_seconds=settings.lock_timeout_seconds) as connection:
        connection.execute(read_sql("letters_find"), given)
        letters = Letters(connection.execute(read_sql("letters_counts")).fetchall())
        if not is_dry_run and letters.counts:
            connection.execute(read_sql("letters_write"), {"status": becomes, "answer": answer, "now": utc_now()})
    return letters
