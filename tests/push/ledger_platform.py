"""A destination that knows no keys but can be read back: a file with one delivered key a line.

LEDGER names the file. A row for a user in LEDGER_TAKES_THEN_FORGETS is written down but its answer is lost.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, Outcome, SendResult
from orchestration.destinations.traffic import Traffic
from orchestration.destinations.wire import Request
from orchestration.settings import Settings

CAPABILITIES = Capabilities(
    max_batch_size=2,
    idempotency_key_field=None,
    deduplicates=False,
    crash_policy=CrashPolicy.RECONCILE,
    can_reconcile=True,
    permanent_statuses=frozenset(),
)
TOLD_BY_A_LIBRARY = "https://ann:pa55word@example.com"


def create(settings: Settings) -> LedgerDestination:
    return LedgerDestination(Path(os.environ["LEDGER"]), os.environ.get("LEDGER_TAKES_THEN_FORGETS", "").split())


class LedgerDestination:
    capabilities = CAPABILITIES

    def __init__(self, path: Path, forgets: list[str]) -> None:
        self.path = path
        self.forgets = forgets
        self.traffic = Traffic()

    def send(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        with self.path.open("a") as file:
            file.writelines(f"{row.idempotency_key}\n" for row in rows if row.user_id != "never-arrives")
        if any(row.user_id == "bug" for row in rows):
            raise KeyError(TOLD_BY_A_LIBRARY)
        return [SendResult(row, Outcome.UNKNOWN if row.user_id in self.forgets else Outcome.DELIVERED) for row in rows]

    def prepare(self, rows: Sequence[OutboxRow]) -> list[Request]:
        return []

    def reconcile(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        kept = self.path.read_text().split()
        return [
            SendResult(row, Outcome.DELIVERED if row.idempotency_key in kept else Outcome.NOT_FOUND) for row in rows
        ]

    def close(self) -> None:
        pass
