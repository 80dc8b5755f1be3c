"""What a campaign platform must offer to be pushed to, and what it answers, row by row.

A destination is a module with two names, listed in `registry.py`:

    CAPABILITIES: Capabilities               what the platform can do; known without any configuration
    def create(settings: Settings) -> Destination     raises ConfigError naming the variable that is missing

and, where a setting changes what it can do, a third, which must neither need credentials nor raise for their lack:

    def configured(settings: Settings) -> Capabilities

The push (`orchestration/push.py`) owns claims, the log, crash policies and retries by later runs. A destination
owns one thing: turning rows into requests, and answers into one `SendResult` a row. It never opens the warehouse.
How to write one: docs/destinations.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from orchestration.destinations.traffic import Traffic
from orchestration.destinations.wire import Request


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
class RateLimit:
    """A documented limit of the whole account: `requests` in any `seconds`.

    Limits without a `scope` hold for every request, the others for requests that name the scope.
    """

    requests: int
    seconds: float
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Declared facts about a platform, each from its vendor's documents."""

    max_batch_size: int
    """Rows in one request at most; TRIPLINE_PUSH_BATCH_SIZES can lower it."""
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
    """Those that speak of the endpoint or its credentials, not of a row: after one, nothing more is sent in this
    push, and no row is rejected for it."""
    max_body_bytes: int | None = None
    """Of one request's body."""
    rate_limits: tuple[RateLimit, ...] = ()
    """All windows at once. TRIPLINE_PUSH_RATE_LIMITS replaces them, TRIPLINE_PUSH_RATE_SHARES scales them."""
    max_concurrency: int = 1
    """Requests under way at once."""
    partial_failure: str = ""
    """One sentence: how the platform says that it took some rows of a request and not others."""
    history: str | None = None
    """How past events can be recorded without messaging anybody, in a sentence; None where they cannot. A row with
    `is_history` must be sent so, and reaches only destinations that declare this."""
    needs: tuple[str, ...] = ()
    """Alternatives, any one of which is enough to address a user: `email`, `phone` or a key of `external_ids`.
    Empty where `user_id` is enough."""
    promises: Mapping[CrashPolicy, str] = field(default_factory=dict)
    """For every policy that may be chosen, one sentence: what it can and cannot promise."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A claimed row of `triggers.campaign_outbox`. Times are UTC without zone; `payload` is JSON text."""

    idempotency_key: str
    decision_id: str
    destination: str
    campaign: str
    trigger_name: str
    user_id: str
    matched_at: datetime
    decided_at: datetime
    is_match_present: bool
    previous_status: str | None
    attempt: int
    payload: str
    email: str | None = None
    phone: str | None = None
    external_ids: Mapping[str, str] = field(default_factory=dict)
    action: str | None = None
    """What to do at the platform, where it offers several; from seeds/campaigns.csv."""
    platform_ref: str | None = None
    """The platform's own name or id of the campaign or event; from seeds/campaigns.csv."""
    is_history: bool = False
    """To be recorded as past, by the platform's history mode: nobody may be messaged for it."""

    def address(self, kind: str) -> str | None:
        """The user's address of a kind that `Capabilities.needs` names."""
        if kind in ("email", "phone"):
            return self.email if kind == "email" else self.phone
        return self.external_ids.get(kind)


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
    traffic: Traffic
    """What was sent so far, counted."""

    def send(self, rows: Sequence[OutboxRow]) -> list[SendResult]: ...

    def prepare(self, rows: Sequence[OutboxRow]) -> list[Request]:
        """The requests that `send` would make, without credentials; sends nothing."""
        ...

    def reconcile(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        """DELIVERED, NOT_FOUND or UNKNOWN for each row; called only where `can_reconcile`."""
        ...

    def close(self) -> None: ...
