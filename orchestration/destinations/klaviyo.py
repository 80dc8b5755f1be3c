"""Klaviyo: custom events in batches, by its API of JSON:API documents.

Sources, all Klaviyo's own: the OpenAPI descriptions `bulk_create_events` and `create_event`
(github.com/klaviyo/openapi, revision 2026-07-15) for bodies, limits, `unique_id` and `backfill`;
developers.klaviyo.com, "Rate limits, status codes, and errors", for the headers.

A row is one event: metric = platform_ref or the campaign, `unique_id` = the idempotency key, `time` = `matched_at`.

Rows whose earlier sending was not seen to end go one by one to `/api/events`. Of a repeated `unique_id` that endpoint
records the first; of the bulk endpoint the description says that the whole request fails, so one row that had arrived
would take its new company down with it, and perhaps unseen, since bulk jobs are worked on after the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, RateLimit
from orchestration.destinations.batches import BatchDestination
from orchestration.destinations.http import HttpClient, judge_by_status
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.vendors import (
    OTHER_TRY,
    BaseUrl,
    action_of,
    event_name_of,
    payload_of,
    properties_of,
    read_settings,
    required_secret,
    wrong_campaign,
)
from orchestration.destinations.wire import Answer, Judge, Meaning, Request, Verdict, parse_retry_after
from orchestration.errors import PermanentDeliveryError
from orchestration.settings import Settings

NAME = "klaviyo"
ACTIONS = ("event",)
BULK, SINGLE = "/api/event-bulk-create-jobs", "/api/events"
MEDIA_TYPE = "application/vnd.api+json"
METRIC_CHARS = 127  # "must be less than 128 characters"
IN_DOUBT = ("claimed", "unknown", "held")
# Retired revisions (410), a wrong media type (415) and a wrong address speak of the set-up, not of a row.
ENDPOINT_STATUSES = frozenset({401, 403, 404, 405, 406, 410, 415})

CAPABILITIES = Capabilities(
    max_batch_size=1_000,
    max_body_bytes=5_000_000,  # "5MB", decompressed; read as decimal, the smaller of the two readings
    idempotency_key_field="unique_id",
    deduplicates=True,
    crash_policy=CrashPolicy.RESEND,
    can_reconcile=False,  # events can be listed, but not by unique_id
    permanent_statuses=frozenset(range(400, 500)) - OTHER_TRY,
    endpoint_statuses=ENDPOINT_STATUSES,
    # Fixed windows of the account, burst and steady, per endpoint.
    rate_limits=(
        RateLimit(10, 1, "bulk"),
        RateLimit(150, 60, "bulk"),
        RateLimit(350, 1, "single"),
        RateLimit(3_500, 60, "single"),
    ),
    max_concurrency=2,  # enough for 150 a minute; what is under way at a kill goes one by one afterwards
    partial_failure="a request is refused as a whole, and the refusal points at the items at fault; what it accepts "
    "(202) Klaviyo works on later, and does not report what it then drops",
    history="`backfill` is true: Klaviyo records the event and starts no flow",
    needs=("klaviyo_profile_id", "email", "phone"),
    promises={
        CrashPolicy.RESEND: "nothing is lost before Klaviyo accepts it (202: it works on events later and reports no "
        "failures of that); nothing is recorded twice, for of one unique_id per profile and metric the first counts",
        CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person",
    },
)

_POINTER = re.compile(r"^/data/attributes/events-bulk-create/data/(\d+)(?:/|$)")


class KlaviyoSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_KLAVIYO_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_KLAVIYO_", extra="ignore")

    api_key: SecretStr | None = Field(default=None, description="private key with the scope events:write")
    base_url: BaseUrl = "https://a.klaviyo.com"
    revision: str = Field(
        default="2026-07-15",
        pattern=r"^\d{4}-\d{2}-\d{2}(\.[a-z0-9-]+)?$",
        description="of the API; Klaviyo supports each for two years",
    )


def create(settings: Settings) -> KlaviyoDestination:
    """Raises ConfigError where TRIPLINE_KLAVIYO_API_KEY is missing or a setting makes no sense."""
    ours = read_settings(KlaviyoSettings)
    key = required_secret(ours.api_key, "TRIPLINE_KLAVIYO_API_KEY", "make a private key with the scope events:write")
    push_settings = PushSettings()
    headers = {"authorization": f"Klaviyo-API-Key {key}", "revision": ours.revision, "accept": MEDIA_TYPE}
    client = HttpClient(
        NAME,
        ours.base_url,
        CAPABILITIES,
        push_settings,
        secrets=[key],
        authorize=lambda request: headers,
        judge=judge(),
    )
    return KlaviyoDestination(client, push_settings.batch_size_of(NAME, CAPABILITIES))


class KlaviyoDestination(BatchDestination):
    def __init__(self, client: HttpClient, batch_size: int) -> None:
        super().__init__(client, CAPABILITIES, batch_size)

    def group_key(self, row: OutboxRow) -> Hashable:
        return row.idempotency_key if _is_in_doubt(row) else None

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        headers = {"content-type": MEDIA_TYPE}
        if len(rows) == 1 and _is_in_doubt(rows[0]):
            return Request.of_json(SINGLE, {"data": single_event(rows[0])}, headers=headers, scope="single")
        entries = [bulk_entry(row) for row in rows]
        job = {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": entries}}}
        return Request.of_json(BULK, {"data": job}, headers=headers, scope="bulk")

    def blame(self, rows: Sequence[OutboxRow], error: PermanentDeliveryError) -> Mapping[int, str]:
        blamed = blamed_in(error.answer)
        # Where every item is at fault, a setting may be: rows are then tried apart, and few pay for it.
        return blamed if blamed.keys() < set(range(len(rows))) else {}


def bulk_entry(row: OutboxRow) -> dict[str, Any]:
    """One profile and its one event, so that an item's position is the row's."""
    event = {"type": "event", "attributes": _event(row)}
    entry = {"profile": {"data": _profile(row)}, "events": {"data": [event]}}
    # Said of the event and of its entry: the description gives both the word, and not which of the two wins.
    return {"type": "event-bulk-create", "attributes": {**entry, "backfill": True} if row.is_history else entry}


def single_event(row: OutboxRow) -> dict[str, Any]:
    return {"type": "event", "attributes": {**_event(row), "profile": {"data": _profile(row)}}}


def _event(row: OutboxRow) -> dict[str, Any]:
    action_of(row, ACTIONS)
    metric = event_name_of(row)
    if len(metric) > METRIC_CHARS:
        raise wrong_campaign(row, f"Klaviyo's names of metrics have fewer than 128 characters, this has {len(metric)}")
    payload = payload_of(row)
    event = {
        "properties": properties_of(payload),
        "time": payload["matched_at"],
        "unique_id": row.idempotency_key,
        "metric": {"data": {"type": "metric", "attributes": {"name": metric}}},
    }
    return {**event, "backfill": True} if row.is_history else event


def _profile(row: OutboxRow) -> dict[str, Any]:
    # One identifier and nothing else: a second one would be written into the profile that the first one finds.
    if known := row.external_ids.get("klaviyo_profile_id"):
        return {"type": "profile", "id": known, "attributes": {}}
    if row.email:
        return {"type": "profile", "attributes": {"email": row.email}}
    if row.phone:
        return {"type": "profile", "attributes": {"phone_number": row.phone}}
    raise PermanentDeliveryError("Klaviyo needs a profile id, an e-mail or a phone number, and none is known")


def _is_in_doubt(row: OutboxRow) -> bool:
    return row.previous_status in IN_DOUBT


def blamed_in(text: str) -> dict[int, str]:
    """Positions of the items that a refusal points at, and why; none where it is no JSON or was cut."""
    try:
        errors = json.loads(text)["errors"]
    except (ValueError, KeyError, TypeError):
        return {}
    blamed: dict[int, str] = {}
    for error in errors if isinstance(errors, list) else []:
        source = error.get("source") if isinstance(error, dict) else None
        found = _POINTER.match(str(source.get("pointer", ""))) if isinstance(source, dict) else None
        if found:
            told = str(error.get("detail") or error.get("title") or error.get("code"))
            index = int(found[1])
            blamed[index] = f"{blamed[index]}; {told}" if index in blamed else told
    return blamed


def judge() -> Judge:
    by_status = judge_by_status(CAPABILITIES)

    def judged(answer: Answer) -> Verdict:
        verdict = by_status(answer)
        if verdict.meaning is Meaning.TAKEN and answer.headers.get("ratelimit-remaining", "").strip() == "0":
            # The steady window is used up, perhaps by others: the next request would be refused.
            return Verdict(Meaning.TAKEN, parse_retry_after(answer.headers.get("ratelimit-reset"), datetime.now(UTC)))
        return verdict

    return judged
