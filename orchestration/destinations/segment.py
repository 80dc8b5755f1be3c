"""Any API that takes what Segment's HTTP Tracking API takes: Segment, RudderStack, Jitsu, one's own collector.

Source: Segment's documentation, "HTTP API Source" (github.com/segmentio/segment-docs, `http-api/index.md`):
`/v1/batch`, basic authentication with the write key as the user, 500 KB and 2,500 events a batch, 32 KB an event,
`messageId` below 100 characters, 1,000 requests a second, 429 with `Retry-After` and `X-RateLimit-Reset` in seconds.
It answers 200 also for events that it then rejects.

A row is one `track` call: event = platform_ref or the campaign, `messageId` = the idempotency key, `timestamp` =
`matched_at`. There is no `sentAt`, so that the same row makes the same request and nobody corrects its time.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
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
)
from orchestration.destinations.wire import Answer, Judge, Meaning, Request, Verdict, parse_retry_after
from orchestration.errors import PermanentDeliveryError
from orchestration.settings import Settings

NAME = "segment"
ACTIONS = ("track",)
ITEM_BYTES = 32 * 1024  # as Segment's own clients read "32KB"
ENDPOINT_STATUSES = frozenset({401, 403, 404, 405, 410, 415})
SILENT_LOSS = "what a server accepts (200) and then rejects is not reported"

CAPABILITIES = Capabilities(
    max_batch_size=2_500,
    max_body_bytes=500_000,  # "500KB", read as decimal, the smaller of the two readings
    idempotency_key_field="messageId",
    deduplicates=True,
    crash_policy=CrashPolicy.RESEND,
    can_reconcile=False,
    permanent_statuses=frozenset(range(400, 500)) - OTHER_TRY,
    endpoint_statuses=ENDPOINT_STATUSES,
    rate_limits=(RateLimit(1_000, 1),),
    max_concurrency=4,
    partial_failure=f"none: a request is taken or refused as a whole, and {SILENT_LOSS}",
    history=None,  # `timestamp` may be old, but what is connected behind may act on it
    promises={
        CrashPolicy.RESEND: f"nothing is lost before the server accepts it ({SILENT_LOSS}); nothing takes effect twice "
        "while the server remembers the messageId, Segment among the ids it has seen lately",
        CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person",
    },
)
WITHOUT_MEMORY = replace(
    CAPABILITIES,
    deduplicates=False,
    crash_policy=CrashPolicy.HOLD,
    promises={
        **CAPABILITIES.promises,
        CrashPolicy.RESEND: f"nothing is lost before the server accepts it ({SILENT_LOSS}); what is in doubt may take "
        "effect twice",
    },
)


class SegmentSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_SEGMENT_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_SEGMENT_", extra="ignore")

    write_key: SecretStr | None = Field(default=None, description="of the source that takes the firings")
    base_url: BaseUrl = Field(
        default="https://api.segment.io", description="workspaces in the EU: https://events.eu1.segmentapis.com"
    )
    deduplicates: bool = Field(default=True, description="the server lets a repeated messageId take effect once")


def configured(settings: Settings) -> Capabilities:
    """Raises ConfigError where a setting makes no sense."""
    return CAPABILITIES if read_settings(SegmentSettings).deduplicates else WITHOUT_MEMORY


def create(settings: Settings) -> SegmentDestination:
    """Raises ConfigError where TRIPLINE_SEGMENT_WRITE_KEY is missing or a setting makes no sense."""
    ours = read_settings(SegmentSettings)
    key = required_secret(ours.write_key, "TRIPLINE_SEGMENT_WRITE_KEY", "it is the write key of the source")
    capabilities = configured(settings)
    push_settings = PushSettings()
    basic = base64.b64encode(f"{key}:".encode()).decode()  # the password is empty, the colon stays
    client = HttpClient(
        NAME,
        ours.base_url,
        capabilities,
        push_settings,
        secrets=[key, f"{key}:"],
        authorize=lambda request: {"authorization": f"Basic {basic}"},
        judge=judge(capabilities),
    )
    return SegmentDestination(client, capabilities, push_settings.batch_size_of(NAME, capabilities))


class SegmentDestination(BatchDestination):
    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        return Request.of_json("/v1/batch", {"batch": [track_call(row) for row in rows]})


def track_call(row: OutboxRow) -> dict[str, Any]:
    """Raises PermanentDeliveryError where the call is larger than a server takes."""
    action_of(row, ACTIONS)
    payload = payload_of(row)
    traits = {"email": row.email, "phone": row.phone}
    call = {
        "type": "track",
        "messageId": row.idempotency_key,
        "userId": row.user_id,
        "event": event_name_of(row),
        "timestamp": payload["matched_at"],
        "properties": properties_of(payload),
        "context": {
            "library": {"name": "tripline", "version": _version()},
            # How destinations behind the server learn an address without an identify call (Segment spec, "context").
            "traits": {name: value for name, value in traits.items() if value},
        },
    }
    size = len(json.dumps(call, separators=(",", ":"), ensure_ascii=False).encode())
    if size > ITEM_BYTES:
        raise PermanentDeliveryError(f"{size} bytes, and an event may have {ITEM_BYTES}")
    return call


@cache
def _version() -> str:
    return version("tripline")  # reads a file


def judge(capabilities: Capabilities) -> Judge:
    by_status = judge_by_status(capabilities)

    def judged(answer: Answer) -> Verdict:
        verdict = by_status(answer)
        if verdict.meaning is Meaning.LIMITED and verdict.wait is None:
            wait = parse_retry_after(answer.headers.get("x-ratelimit-reset"), datetime.now(UTC))
            return Verdict(Meaning.LIMITED, wait)
        if verdict.meaning is Meaning.TAKEN:
            told = answer.json()
            if isinstance(told, dict) and told.get("success") is False:
                return Verdict(Meaning.REFUSED, reason="the server says that it did not take the batch")
        return verdict

    return judged
