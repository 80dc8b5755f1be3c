"""What `tripline explain` found, as data. Times are UTC; seconds and sums are decimals."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from orchestration.commands.words import Number, Utc


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Device(_Frozen):
    """A device whose anonymous events belong to the user, and since which event."""

    anonymous_id: str
    linked_at: Utc | None


class Identity(_Frozen):
    """Who was asked for, and whose that is now."""

    asked: str
    user_id: str
    is_anonymous: bool
    is_device: bool  # what was asked for is a device
    linked_at: Utc | None = None  # of the device that was asked for
    devices: list[Device] = []
    words: str


class EvidenceEvent(_Frozen):
    """One event that a match rests on; only its key where `is_loaded` is False: raw.events could not be read."""

    event_key: str
    is_loaded: bool = True
    event_name: str | None = None
    occurred_at: Utc | None = None
    product_id: str | None = None
    category: str | None = None
    price: Number | None = None
    quantity: Number | None = None
    page_url: str | None = None
    batch_id: int | None = None


class DeliveryStep(_Frozen):
    """One row of triggers.campaign_deliveries."""

    destination: str
    campaign: str
    status: str
    attempt: int
    recorded_at: Utc
    http_status: int | None
    answer: str | None
    retry_at: Utc | None


class MatchStory(_Frozen):
    """One instant at which the condition held, what was decided, and what was delivered.

    `is_present` is False where the data as now known has no such match any more. `decision` is None for a timer that
    runs, and for a match that no build has decided.
    """

    user_id: str
    matched_at: Utc
    is_absence: bool
    is_present: bool
    observed_value: Number
    threshold_value: Number
    measured: str  # in words
    decision: str | None
    reason: str | None
    why: str
    decided_at: Utc | None
    batch_id: int | None
    campaign: str | None
    delivery_status: str | None
    deliveries: list[DeliveryStep]
    evidence: list[EvidenceEvent]


class NearMiss(_Frozen):
    """How far off the user was, in words; the numbers where there is something to measure."""

    words: str
    observed_value: Number | None = None
    threshold_value: Number | None = None
    at: Utc | None = None
    subject: str | None = None


class TriggerStory(_Frozen):
    """All about one trigger and the user. `status`: fired, suppressed, held, waiting, matched, not_matched, disabled,
    unknown (the events could not be read). `matches` are the latest of `match_count`."""

    trigger_name: str
    status: str
    match_count: int
    matches: list[MatchStory]
    near_miss: NearMiss | None = None


class Activity(_Frozen):
    events: int
    visits: int
    first_at: Utc | None
    last_at: Utc | None


class Explanation(_Frozen):
    """`clock_at`, `watermark_at`, `batch_id`: the build that the matches and decisions are from. `activity` is None
    where the events could not be read, and `notes` says why."""

    identity: Identity
    clock_at: Utc | None
    watermark_at: Utc | None
    batch_id: int | None
    read_from: str
    activity: Activity | None
    triggers: list[TriggerStory]
    notes: list[str]
