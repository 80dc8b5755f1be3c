"""Braze, by its REST API (braze.com/docs/api; read November 2026).

| action | what is sent | `platform_ref` |
| --- | --- | --- |
| `event` (default) | a custom event, POST /users/track | the event's name; the campaign's where it is empty |
| `campaign` | an API-triggered campaign, POST /campaigns/trigger/send | the campaign id |
| `canvas` | an API-triggered Canvas, POST /canvas/trigger/send | the Canvas id |

Braze does not recognise repetitions: "duplicate events are treated as separate, unique events" (Track users, FAQ). The
key travels as the property `tripline_key`, by which a person can find a firing. A whole segment is never addressed:
every request names its recipients, and `broadcast` is false.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, Outcome, RateLimit, SendResult
from orchestration.destinations.batches import BatchDestination, ItemFailure, settle
from orchestration.destinations.http import HttpClient, judge_by_status
from orchestration.destinations.repeats import without_repeats
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
from orchestration.destinations.wire import Answer, Meaning, Request, Verdict, wait_of, wait_until_epoch
from orchestration.errors import ConfigError, PermanentDeliveryError
from orchestration.settings import Settings

TRACK, SEND = "track", "send"  # what shares a rate limit
PATHS = {"event": "/users/track", "campaign": "/campaigns/trigger/send", "canvas": "/canvas/trigger/send"}
ID_FIELDS = {"campaign": "campaign_id", "canvas": "canvas_id"}
PROPERTIES_FIELDS = {"campaign": "trigger_properties", "canvas": "canvas_entry_properties"}
# Several profiles may share an e-mail; required beside one (Recipients object).
PRIORITIZATION = ("identified", "most_recently_updated")

CAPABILITIES = Capabilities(
    # 50 recipients (Send campaigns); 50 objects of any kind where an account counts monthly active users (Track users).
    max_batch_size=50,
    idempotency_key_field="events[].properties.tripline_key",
    deduplicates=False,
    crash_policy=CrashPolicy.HOLD,
    can_reconcile=False,
    permanent_statuses=frozenset(range(400, 500)) - {401, 403, 404} - OTHER_TRY,
    # 401 and 404: the key is unknown. 403: the account or the key's permissions (Errors and responses).
    endpoint_statuses=frozenset({401, 403, 404}),
    # A workspace's limits (Rate limits); the second is shared with most other endpoints.
    rate_limits=(RateLimit(3_000, 3, TRACK), RateLimit(250_000, 3_600, SEND)),
    max_concurrency=4,
    partial_failure="the answer names each event or recipient that was not taken by its position; the others are taken",
    needs=("braze_external_id", "email", "phone"),
    promises={
        CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person, who finds it in Braze by the "
        "property tripline_key",
        CrashPolicy.RESEND: "nothing is lost; what is in doubt may arrive twice, and Braze messages the user again",
    },
)


class BrazeSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_BRAZE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_BRAZE_", extra="ignore")

    base_url: BaseUrl | None = Field(default=None, description="the REST endpoint of your cluster")
    api_key: SecretStr | None = Field(default=None, description="a REST API key, not an SDK key")
    user_id_is_external_id: bool = Field(
        default=False, description="Braze's external ids are the user ids of the events; no trait is needed then"
    )
    create_users: bool = Field(
        default=True, description="an event for somebody unknown to Braze makes a profile, as is Braze's default"
    )


def configured(settings: Settings) -> Capabilities:
    """Raises ConfigError where a setting other than the credentials makes no sense."""
    return replace(CAPABILITIES, needs=()) if read_settings(BrazeSettings).user_id_is_external_id else CAPABILITIES


def create(settings: Settings) -> BrazeDestination:
    """Raises ConfigError where TRIPLINE_BRAZE_BASE_URL or TRIPLINE_BRAZE_API_KEY is missing or unusable."""
    own, push_settings, capabilities = read_settings(BrazeSettings), PushSettings(), configured(settings)
    if not own.base_url:
        raise ConfigError("TRIPLINE_BRAZE_BASE_URL is not set", "your cluster's, such as https://rest.iad-01.braze.com")
    whose = "make a REST API key under Settings, APIs and Identifiers, with the permission users.track"
    key = required_secret(own.api_key, "TRIPLINE_BRAZE_API_KEY", whose)
    client = HttpClient(
        "braze",
        own.base_url,
        capabilities,
        push_settings,
        secrets=(key,),
        authorize=lambda request: {"authorization": f"Bearer {key}"},
        judge=judge,
    )
    return BrazeDestination(client, capabilities, push_settings.batch_size_of("braze", capabilities), own)


class BrazeDestination(BatchDestination):
    """One request holds one action's rows for one campaign, and nobody twice."""

    def __init__(self, client: HttpClient, capabilities: Capabilities, batch_size: int, own: BrazeSettings) -> None:
        super().__init__(client, capabilities, batch_size)
        self.own = own

    def send(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        # A phone number is an address for events alone; the profile may learn another before the row is too old.
        unreachable = [row for row in rows if row.action in ID_FIELDS and not self._user(row)]
        told = "not sent: campaigns and Canvases need braze_external_id or an e-mail, and only a phone number is known"
        results = [SendResult(row, Outcome.FAILED, answer=told) for row in unreachable]
        return results + super().send([row for row in rows if row not in unreachable])

    def group_key(self, row: OutboxRow) -> Hashable:
        return row.action or "event", row.platform_ref if row.action in ID_FIELDS else None

    def _cut(self, rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
        # Of recipients that are the same, Braze keeps one and says nothing of the other (Recipients object).
        return [part for batch in super()._cut(rows) for part in without_repeats(batch, self._identity)]

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        action = action_of(rows[0], tuple(PATHS))
        if action == "event":
            return Request.of_json(PATHS[action], {"events": [self._event(row) for row in rows]}, scope=TRACK)
        if not rows[0].platform_ref:
            raise wrong_campaign(rows[0], f"platform_ref is empty, and {action} needs the {action} id")
        recipients = [self._recipient(row, PROPERTIES_FIELDS[action]) for row in rows]
        body = {ID_FIELDS[action]: rows[0].platform_ref, "broadcast": False, "recipients": recipients}
        return Request.of_json(PATHS[action], body, scope=SEND)

    def decode(self, rows: Sequence[OutboxRow], answer: Answer) -> list[SendResult]:
        """201 with the faults of single rows; 202 `queued` while Braze is being maintained: accepted."""
        body = answer.json()
        if not isinstance(body, dict) or body.get("message") not in ("success", "queued"):
            raise ValueError("neither success nor queued")
        named = _named(body, len(rows))
        left, processed = len(rows) - len(named), body.get("events_processed")
        missing = left - processed if isinstance(processed, int) else len(body.get("errors") or []) - len(named)
        failures = {index: ItemFailure(why) for index, why in named.items()}
        if missing > 0:
            told = (
                f"{min(missing, left)} of these rows were not taken, and the answer does not say which: {answer.text}"
            )
            doubt = ItemFailure(told, Outcome.UNKNOWN)
            failures |= {index: doubt for index in range(len(rows)) if index not in named}
        return settle(rows, answer, failures)

    def blame(self, rows: Sequence[OutboxRow], error: PermanentDeliveryError) -> Mapping[int, str]:
        try:
            body = json.loads(error.answer)
        except ValueError:
            return {}
        return _named(body, len(rows)) if isinstance(body, dict) else {}

    def _event(self, row: OutboxRow) -> dict[str, Any]:
        event = {
            **self._user(row),
            "name": event_name_of(row),
            "time": f"{row.matched_at.isoformat(timespec='milliseconds')}Z",
            "properties": _properties(row),
        }
        return event if self.own.create_users else {**event, "_update_existing_only": True}

    def _recipient(self, row: OutboxRow, properties_field: str) -> dict[str, Any]:
        user = self._user(row)
        if not user:
            raise PermanentDeliveryError("campaigns and Canvases need braze_external_id or an e-mail")
        return {**user, properties_field: _properties(row)}

    def _user(self, row: OutboxRow) -> dict[str, Any]:
        """How this action names the user; empty where it cannot."""
        is_event = row.action not in ID_FIELDS
        external_id = row.user_id if self.own.user_id_is_external_id else row.external_ids.get("braze_external_id")
        if external_id:
            return {"external_id" if is_event else "external_user_id": external_id}
        if row.email:
            return {"email": row.email} if is_event else {"email": row.email, "prioritization": list(PRIORITIZATION)}
        return {"phone": row.phone} if is_event and row.phone else {}

    def _identity(self, row: OutboxRow) -> Hashable:
        """What makes two recipients the same; events of one user are two events."""
        return row.idempotency_key if row.action not in ID_FIELDS else tuple(map(str, self._user(row).values()))


def judge(answer: Answer) -> Verdict:
    """Statuses, and the window in `X-RateLimit-Reset` (UTC epoch seconds): waited out when it is used up."""
    verdict = _by_status(answer)
    reset = wait_until_epoch(answer.headers.get("x-ratelimit-reset"), datetime.now(UTC))
    if verdict.meaning is Meaning.LIMITED:
        return Verdict(Meaning.LIMITED, reset or wait_of(answer))
    if verdict.meaning is Meaning.TAKEN and answer.headers.get("x-ratelimit-remaining") == "0":
        return Verdict(Meaning.TAKEN, reset)
    # A gateway's 504 says that no answer came from behind it; whatever is sent again here arrives again.
    return Verdict(Meaning.IN_DOUBT) if answer.status == 504 else verdict


_by_status = judge_by_status(CAPABILITIES)


def _properties(row: OutboxRow) -> dict[str, Any]:
    return {**properties_of(payload_of(row)), "tripline_key": row.idempotency_key}


def _named(body: Mapping[str, Any], rows: int) -> dict[int, str]:
    """Position to reason, of the rows that an answer names."""
    named: dict[int, str] = {}
    for error in body.get("errors") or []:
        index = error.get("index") if isinstance(error, dict) else None
        if isinstance(index, int) and 0 <= index < rows:
            named[index] = str(error.get("type") or error)
    return named
