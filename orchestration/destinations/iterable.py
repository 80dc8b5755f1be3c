"""Iterable: custom events in batches, and journeys started one user at a time.

Sources, Iterable's own: its OpenAPI description (github.com/Iterable/api-client, `api-docs.json`) for endpoints,
bodies, answers, rate limits and codes; support article "API Response Codes" for the statuses that carry the codes. The
description states no size for `trackBulk`: 1,000 events is below what Segment's integration sends (1,001), and 4 MB is
what `bulkUpdate` takes; a batch that Iterable calls too large is split.

Action `event` (the default): one event of `/api/events/trackBulk`; `eventName` = platform_ref or the campaign, `id` =
the idempotency key, `createdAt` = `matched_at` in seconds. Iterable updates the event that has the id already.

Action `workflow`: `/api/workflows/triggerWorkflow`; platform_ref is the journey's number. It has no place for a key, so
it must be allowed by TRIPLINE_ITERABLE_JOURNEYS, and then what is in doubt waits for a person by default.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, Outcome, RateLimit, SendResult
from orchestration.destinations.batches import BatchDestination, ItemFailure, settle
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
from orchestration.destinations.wire import Answer, Judge, Meaning, Request, Verdict, wait_of
from orchestration.errors import PermanentDeliveryError
from orchestration.settings import Settings

NAME = "iterable"
EVENT, JOURNEY = "event", "workflow"
BULK, TRIGGER = "/api/events/trackBulk", "/api/workflows/triggerWorkflow"
ENDPOINT_STATUSES = frozenset({401, 403})

CAPABILITIES = Capabilities(
    max_batch_size=1_000,
    max_body_bytes=4_000_000,
    idempotency_key_field="id",
    deduplicates=True,
    crash_policy=CrashPolicy.RESEND,
    can_reconcile=False,
    permanent_statuses=frozenset(range(400, 500)) - OTHER_TRY,
    endpoint_statuses=ENDPOINT_STATUSES,
    # Of the project. None is stated for triggerWorkflow: ten a second is caution, and 429 is heeded.
    rate_limits=(RateLimit(10, 1, EVENT), RateLimit(10, 1, JOURNEY)),
    max_concurrency=4,
    partial_failure="the answer (200) lists e-mails, user ids and event names that were not taken, not positions; all "
    "rows of such a user, or of such an event, are rejected",
    history=None,  # `createdAt` may be old, and no description says that journeys then stay still
    needs=("email", "iterable_user_id"),
    promises={
        CrashPolicy.RESEND: "nothing is lost; an event that is sent twice is one event, updated (whether a journey "
        "that it starts may start again, Iterable does not say)",
        CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person",
    },
)

JOURNEYS = {
    "idempotency_key_field": "id of an event; none for a journey",
    "deduplicates": False,
    "crash_policy": CrashPolicy.HOLD,
    "promises": {
        **CAPABILITIES.promises,
        CrashPolicy.RESEND: "nothing is lost; an event that is sent twice is one event, updated, but a journey that is "
        "in doubt may be started twice",
    },
}

NOT_TAKEN = {
    "forgottenEmails": "Iterable has forgotten this user at their request (GDPR) and takes nothing for them",
    "forgottenUserIds": "Iterable has forgotten this user at their request (GDPR) and takes nothing for them",
    "invalidEmails": "Iterable takes this for no e-mail address",
    "invalidUserIds": "Iterable takes this for no user id",
    "notFoundEmails": "Iterable knows nobody with this e-mail address",
    "notFoundUserIds": "Iterable knows nobody with this user id",
}
DISALLOWED = "the project in Iterable does not allow events of this name"
RATE_LIMITED = "RateLimitExceeded"
TOO_LARGE = "BatchTooLarge"
TRANSIENT = frozenset({"DatabaseError", "GenericError", "QueueEmailError"})  # at a 5xx, or inside a 200

User = tuple[str, str]
"""The field that names a user, `email` or `userId`, and what stands in it."""


class IterableSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_ITERABLE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_ITERABLE_", extra="ignore")

    api_key: SecretStr | None = Field(default=None, description="a server-side key")
    base_url: BaseUrl = Field(
        default="https://api.iterable.com", description="projects in the EU: https://api.eu.iterable.com"
    )
    identify_by: Literal["email", "user_id"] = Field(
        default="email", description="how the project identifies users; user_id: iterable_user_id, else our own id"
    )
    journeys: bool = Field(default=False, description="campaigns may have the action workflow, which knows no keys")


def configured(settings: Settings) -> Capabilities:
    """Raises ConfigError where a setting makes no sense."""
    ours = read_settings(IterableSettings)
    # A project that goes by user id needs no address: our own id is there for every user.
    needs = CAPABILITIES.needs if ours.identify_by == "email" else ()
    return replace(CAPABILITIES, needs=needs, **(JOURNEYS if ours.journeys else {}))  # type: ignore[arg-type]


def create(settings: Settings) -> IterableDestination:
    """Raises ConfigError where TRIPLINE_ITERABLE_API_KEY is missing or a setting makes no sense."""
    ours = read_settings(IterableSettings)
    key = required_secret(ours.api_key, "TRIPLINE_ITERABLE_API_KEY", "make a server-side key in the project")
    capabilities = configured(settings)
    push_settings = PushSettings()
    client = HttpClient(
        NAME,
        ours.base_url,
        capabilities,
        push_settings,
        secrets=[key],
        authorize=lambda request: {"api-key": key},
        judge=judge(capabilities),
    )
    return IterableDestination(ours, client, capabilities, push_settings.batch_size_of(NAME, capabilities))


class IterableDestination(BatchDestination):
    def __init__(self, ours: IterableSettings, client: HttpClient, capabilities: Capabilities, batch_size: int) -> None:
        super().__init__(client, capabilities, batch_size)
        self.ours = ours

    def group_key(self, row: OutboxRow) -> Hashable:
        return row.idempotency_key if (row.action or "").strip() == JOURNEY else None

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        if action_of(rows[0], (EVENT, JOURNEY)) == JOURNEY:
            return Request.of_json(TRIGGER, self._journey(rows[0]), scope=JOURNEY)
        return Request.of_json(BULK, {"events": [self._event(row) for row in rows]}, scope=EVENT)

    def decode(self, rows: Sequence[OutboxRow], answer: Answer) -> list[SendResult]:
        told = answer.json()
        told = told if isinstance(told, dict) else {}
        code, words = told.get("code", "Success"), told.get("msg") or ""
        if code != "Success":  # an IterableApiResponse; the code, not the status, says what happened
            outcome = Outcome.FAILED if code in TRANSIENT else Outcome.REJECTED
            return settle(rows, answer, dict.fromkeys(range(len(rows)), ItemFailure(f"{code}: {words}", outcome)))
        reasons = dict(_not_taken(told))
        disallowed = set(_texts(told.get("disallowedEventNames")))
        failures = {}
        for index, row in enumerate(rows):
            reason = DISALLOWED if event_name_of(row) in disallowed else reasons.get(self._user(row))
            if reason:
                failures[index] = ItemFailure(f"{reason}. {words}".strip())
        unnamed = _count(told.get("failCount")) - len(failures)
        if unnamed > 0:
            _blame_the_rest(rows, failures, f"Iterable says that {unnamed} more failed, and not which. {words}".strip())
        # The answer names people: what is kept with one row must not tell of others.
        counts = f"successCount {told.get('successCount')}, failCount {told.get('failCount')}"
        return settle(rows, replace(answer, text=counts) if "successCount" in told else answer, failures)

    def _event(self, row: OutboxRow) -> dict[str, Any]:
        action_of(row, (EVENT, JOURNEY))
        return {
            **self._user_field(row),
            "eventName": event_name_of(row),
            "id": row.idempotency_key,
            "createdAt": int(row.matched_at.replace(tzinfo=UTC).timestamp()),
            "dataFields": properties_of(payload_of(row)),
        }

    def _journey(self, row: OutboxRow) -> dict[str, Any]:
        if not self.ours.journeys:
            raise wrong_campaign(row, f'action "{JOURNEY}" must be allowed by TRIPLINE_ITERABLE_JOURNEYS=true')
        number = (row.platform_ref or "").strip()
        if not (number.isascii() and number.isdigit()):
            raise wrong_campaign(row, f'platform_ref is the number of a journey in Iterable, and "{number}" is none')
        data = {**properties_of(payload_of(row)), "idempotency_key": row.idempotency_key}
        return {**self._user_field(row), "workflowId": int(number), "dataFields": data}

    def _user_field(self, row: OutboxRow) -> dict[str, str]:
        kind, user = self._user(row)
        return {kind: row.email if kind == "email" and row.email else user}

    def _user(self, row: OutboxRow) -> User:
        known = row.external_ids.get("iterable_user_id")
        if self.ours.identify_by == "email" and row.email:
            return "email", _folded(row.email)
        user = known if self.ours.identify_by == "email" else (known or row.user_id)
        if not user:
            raise PermanentDeliveryError("Iterable needs an e-mail or a user id, and neither is known")
        return "userId", user


def _not_taken(told: dict[str, Any]) -> Iterator[tuple[User, str]]:
    """Users that were not taken and why; the two lists beside `failedUpdates` are older words for the same."""
    lists = {name: told.get(name) for name in ("invalidEmails", "invalidUserIds")}
    failed = told.get("failedUpdates")
    for name, users in {**lists, **(failed if isinstance(failed, dict) else {})}.items():
        reason = NOT_TAKEN.get(name, f"Iterable lists this user under {name}")
        for user in _texts(users):
            yield (("email", _folded(user)) if name.endswith("Emails") else ("userId", user)), reason


def _blame_the_rest(rows: Sequence[OutboxRow], failures: dict[int, ItemFailure], told: str) -> None:
    """A row alone is at fault itself. Of several, who knows: the same id may be sent again without harm."""
    outcome = Outcome.REJECTED if len(rows) == 1 else Outcome.FAILED
    for index in range(len(rows)):
        failures.setdefault(index, ItemFailure(told, outcome))


def _folded(email: str) -> str:
    # Addresses may come back in another case than they were sent in.
    return email.strip().lower()


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def judge(capabilities: Capabilities) -> Judge:
    """By the code in the answer; one status carries many (400: fourteen)."""
    by_status = judge_by_status(capabilities)

    def judged(answer: Answer) -> Verdict:
        verdict = by_status(answer)
        told = answer.json()
        code = told.get("code") if isinstance(told, dict) else None
        if code == TOO_LARGE:
            return Verdict(Meaning.TOO_LARGE)
        if code == RATE_LIMITED:
            return Verdict(Meaning.LIMITED, wait_of(answer))
        if answer.status == 404 and code is None:
            return Verdict(Meaning.STOP, reason="404 without a word of Iterable's: the address is hardly its own")
        return verdict

    return judged
