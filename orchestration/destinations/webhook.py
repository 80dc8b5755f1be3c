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
from datetime import UTC, datetime
from itertools import islice

import httpx
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, Outcome, SendResult
from orchestration.destinations.http import Endpoint
from orchestration.destinations.settings import PushSettings
from orchestration.errors import ConfigError, DeliveryError, PermanentDeliveryError, UnknownOutcome
from orchestration.settings import Settings

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
)


class WebhookSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_WEBHOOK_<NAME>`; URL and secret are in `Settings`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_WEBHOOK_", extra="ignore")

    batch_size: int = Field(default=1, ge=1, le=CAPABILITIES.max_batch_size, description="firings in one message")


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
    endpoint = Endpoint(url, CAPABILITIES, PushSettings(), secrets=(secret, secret.removeprefix("whsec_")))
    return WebhookDestination(signer, endpoint, WebhookSettings().batch_size)


class WebhookDestination:
    """Standard Webhooks sender. `batch_size` 1 sends every row as a message of its own."""

    capabilities = CAPABILITIES

    def __init__(self, signer: Webhook, endpoint: Endpoint, batch_size: int = 1) -> None:
        self._signer = signer
        self._endpoint = endpoint
        self._batch_size = batch_size

    def send(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        waiting = iter(rows)
        results: list[SendResult] = []
        while batch := list(islice(waiting, self._batch_size)):
            results += self._send_batch(batch)
        return results

    def reconcile(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        raise NotImplementedError("a webhook cannot be read back; its policy is resend or hold")

    def close(self) -> None:
        self._endpoint.close()

    def _send_batch(self, batch: list[OutboxRow]) -> list[SendResult]:
        message_id, body = self.message(batch)
        try:
            answer = self._endpoint.post(body.encode(), lambda: sign(self._signer, message_id, body))
        except PermanentDeliveryError as error:
            if len(batch) > 1 and error.http_status not in CAPABILITIES.endpoint_statuses:
                # Which row is the poison one, only the endpoint knows: halve until it stands alone.
                middle = len(batch) // 2
                return self._send_batch(batch[:middle]) + self._send_batch(batch[middle:])
            return _same_for_all(batch, Outcome.REJECTED, error)
        except UnknownOutcome as error:
            return _same_for_all(batch, Outcome.UNKNOWN, error)
        except DeliveryError as error:
            return _same_for_all(batch, Outcome.FAILED, error)
        return [SendResult(row, Outcome.DELIVERED, answer.status, answer.text) for row in batch]

    def message(self, batch: Sequence[OutboxRow]) -> tuple[str, str]:
        """`webhook-id` and body. The same rows give the same two, whenever they are sent."""
        data = [{"idempotency_key": row.idempotency_key, **json.loads(row.payload)} for row in batch]
        if self._batch_size == 1:
            message_id = batch[0].idempotency_key
        else:
            keys = "\n".join(sorted(row.idempotency_key for row in batch))
            message_id = hashlib.sha256(keys.encode()).hexdigest()[:32]
        body = {
            "type": "trigger.fired",
            "timestamp": max(row.decided_at for row in batch).isoformat() + "Z",
            "data": data[0] if self._batch_size == 1 else data,
        }
        return message_id, json.dumps(body, separators=(",", ":"))


def sign(signer: Webhook, message_id: str, body: str, at: datetime | None = None) -> Mapping[str, str]:
    """The headers of one attempt; `at` is UTC, now by default."""
    at = at or datetime.now(UTC)
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signer.sign(message_id, at, body),
    }


def _same_for_all(batch: Sequence[OutboxRow], outcome: Outcome, error: DeliveryError) -> list[SendResult]:
    answer = error.answer or error.message
    retry_after = getattr(error, "retry_after", None)
    return [SendResult(row, outcome, error.http_status, answer, retry_after) for row in batch]
