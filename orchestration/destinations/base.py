"""What a campaign platform must offer to be pushed to, and what it answers, row by row.

A destination is a module with two names, listed in `registry.py`:

    CAPABILITIES: Capabilities               what the platform can do; known without any configuration
    def create(settings: Settings) -> Destination     raises ConfigError naming the variable that is missing

The push (`orchestration/push.py`) owns claims, the log, crash policies and retries by later runs. A destination
owns one thing: turning rows into requests, and answers into one `SendResult` a row. It never opens the warehouse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class CrashPolicy(StrEnum):
    """What to do with a row whose sending was not seen to end (semantics, section 8)."""

    RESEND = "resend"  # with the same key: right where the platform knows keys
    RECONCILE = "reconcile"  # read back what the platform holds, then send what it lacks
    HOLD = "hold"  # a person decides


class Outcome(StrEnum):
    """What became of a row; all but `NOT_FOUND` are statuses of the delivery log."""

    DELIVERED = "delivered"
    REJECTED = "rejected"  # permanent: this row will never be taken
    FAILED = "failed"  # nothing happened at the platform; a later push tries again
    UNKNOWN = "unknown"  # the request may have taken effect, the answer never came
    WAITING_FOR_ADDRESS = "waiting_for_address"  # what the platform needs of the user is not known yet
    CANCELLED = "cancelled"  # the match is gone; set by the push, never by a destination
    NOT_FOUND = "not_found"  # answers `reconcile` only: the platform does not hold this row


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Declared facts about a platform, each from its vendor's documents."""

    max_batch_size: int
    """Rows in one request at most."""
    idempotency_key_field: str | None
    """Where the key goes in the request; None where the platform has no place for one."""
    deduplicates: bool
    """The platform itself lets a repeated key take effect once."""
    crash_policy: CrashPolicy
    """The default; TRIPLINE_PUSH_CRASH_POLICIES overrides it per destination."""
    can_reconcile: bool
    """`reconcile` can read back what the platform holds."""
    permanent_statuses: frozenset[int]
    """HTTP statuses after which the same request can never succeed."""
    endpoint_statuses: frozenset[int] = frozenset()
    """Those that speak of the endpoint, not of a row: after one, nothing more is sent in this push."""
    can_send_silently: bool = False
    """History can be recorded at the platform without starting campaigns."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A claimed row of `triggers.campaign_outbox`. Times are UTC without zone; `payload` is JSON text."""

    idempotency_key: str
    decision_id: str
    destination: str
    campaign: str
    trigger_name: str
    user_id: str
    decided_at: datetime
    is_match_present: bool
    previous_status: str | None
    attempt: int
    payload: str


@dataclass(frozen=True, slots=True)
class SendResult:
    """What became of one row. `answer` is the platform's own words without secrets; `retry_after` in seconds."""

    row: OutboxRow
    outcome: Outcome
    http_status: int | None = None
    answer: str = ""
    retry_after: float | None = None


class Destination(Protocol):
    """One platform during one push. `send` and `reconcile` return one result per row given, in any order,
    and do not raise for what a platform answers: every answer is data."""

    capabilities: Capabilities

    def send(self, rows: Sequence[OutboxRow]) -> list[SendResult]: ...

    def reconcile(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        """DELIVERED, NOT_FOUND or UNKNOWN for each row; called only where `can_reconcile`."""
        ...

    def close(self) -> None: ...
