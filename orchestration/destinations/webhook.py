"""Any HTTP endpoint, by the Standard Webhooks specification (github.com/standard-webhooks/standard-webhooks).

Headers `webhook-id` (the idempotency key), `webhook-timestamp` (seconds, of the attempt) and `webhook-signature`
(`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`). Body:

    {"type": "trigger.fired", "timestamp": <when it was decided>, "data": {"idempotency_key": …, <the payload>}}

With a batch size above 1, `data` is a list of such objects and `webhook-id` a hash of their sorted keys; each
object keeps its own key, by which a receiver recognises it in whatever company it is sent again.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow
from orchestration.destinations.batches import BatchDestination
from orchestration.destinations.http import HttpClient, judge_by_status
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.wire import Answer, Meaning, Request, Verdict
from orchestration.errors import ConfigError
from orchestration.settings import Settings

CLOCK_SECONDS = 120.0  # receivers allow five minutes; half of that is worth a word when they refuse

CAPABILITIES = Capabilities(
    max_batch_size=1_000,
    idempotency_key_field="webhook-id",
    deduplicates=True,  # the specification asks receivers to
    crash_policy=CrashPolicy.RESEND,
    can_reconcile=False,
    # 408, 425 and 429 ask for another try later; every other 4xx says that this request is wrong.
    permanent_statuses=frozenset(range(400, 500)) - {408, 425, 429},
    # 401: the secret is wrong. 410: the specification's word for "stop sending here".
    endpoint_statuses=frozenset({401, 410}),
    partial_failure="a message is taken or refused as a whole; a refused batch is halved around the row at fault",
    promises={
        CrashPolicy.RESEND: "nothing is lost; nothing takes effect twice where the receiver keeps the ids it has seen, "
        "as the specification asks of it",
        CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person",
    },
)


class WebhookSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_WEBHOOK_<NAME>`; URL and secret are in `Settings`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_WEBHOOK_", extra="ignore")

    batch_size: int = Field(default=1, ge=1, le=CAPABILITIES.max_batch_size, description="firings in one message")


def configured(settings: Settings) -> Capabilities:
    return replace(CAPABILITIES, max_batch_size=WebhookSettings().batch_size)


def create(settings: Settings) -> WebhookDestination:
    """Raises ConfigError where TRIPLINE_WEBHOOK_URL or TRIPLINE_WEBHOOK_SECRET is missing or unusable."""
    if not settings.webhook_url:
        raise ConfigError("TRIPLINE_WEBHOOK_URL is not set", "set it to the address that takes the firings")
    try:
        url = httpx.URL(settings.webhook_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError("TRIPLINE_WEBHOOK_URL is no address", "it begins with http:// or https:// and names a host")
    secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    try:
        signer = Webhook(secret)
    except (EmptyWebhookSecretError, binascii.Error, ValueError):
        raise ConfigError(
            "TRIPLINE_WEBHOOK_SECRET is not set or no Standard Webhooks secret",
            "it is whsec_ followed by base64; make one with: echo whsec_$(openssl rand -base64 24)",
        ) from None
    push_settings = PushSettings()
    client = HttpClient(
        "webhook",
        settings.webhook_url,
        CAPABILITIES,
        push_settings,
        secrets=(secret, secret.removeprefix("whsec_")),
        authorize=lambda request: sign(signer, request.headers["webhook-id"], request.body.decode()),
        judge=_judge,
    )
    batch_size = push_settings.batch_sizes.get("webhook", WebhookSettings().batch_size)
    return WebhookDestination(client, min(batch_size, CAPABILITIES.max_batch_size))


class WebhookDestination(BatchDestination):
    """Standard Webhooks sender. `batch_size` 1 sends every row as a message of its own."""

    def __init__(self, client: HttpClient, batch_size: int = 1) -> None:
        super().__init__(client, CAPABILITIES, batch_size)

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        if self.batch_size == 1:
            message_id = rows[0].idempotency_key
        else:
            keys = "\n".join(sorted(row.idempotency_key for row in rows))
            message_id = hashlib.sha256(keys.encode()).hexdigest()[:32]
        body = message_of(rows, is_list=self.batch_size > 1)
        return Request.of_json("", body, headers={"webhook-id": message_id})


def message_of(rows: Sequence[OutboxRow], *, is_list: bool = False) -> dict[str, Any]:
    """What a message says, over HTTP or through Kafka; one firing unless it `is_list`."""
    data = [{"idempotency_key": row.idempotency_key, **json.loads(row.payload)} for row in rows]
    return {
        "type": "trigger.fired",
        "timestamp": max(row.decided_at for row in rows).isoformat() + "Z",
        "data": data if is_list else data[0],
    }


def sign(signer: Webhook, message_id: str, body: str, at: datetime | None = None) -> Mapping[str, str]:
    """The headers of one attempt; `at` is UTC, now by default."""
    at = at or datetime.now(UTC)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer.sign(message_id, at, body),
    }


def _judge(answer: Answer) -> Verdict:
    verdict = judge_by_status(CAPABILITIES)(answer)
    if verdict.meaning is not Meaning.STOP:
        return verdict
    skew = _clock_skew(answer)
    if answer.status == 401 and abs(skew) > CLOCK_SECONDS:
        # A signature holds its time, and a receiver refuses old and future ones as it refuses wrong ones.
        told = f"the endpoint answered 401, and its clock differs from this machine's by {skew:+.0f} s"
        return Verdict(Meaning.STOP, reason=told)
    return verdict


def _clock_skew(answer: Answer) -> float:
    """Seconds by which the other side's clock is ahead, by its Date header; 0 where there is none."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, TypeError, IndexError):
        return 0.0
    return (theirs.replace(tzinfo=theirs.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
