"""Standard Webhooks: signed messages, checked with the package of the specification."""

from __future__ import annotations

from collections.abc import Mapping

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.destinations.cases import DestinationCase
from tests.destinations.server import FakePlatform, Item, Reply, Seen

SECRET = "whsec_Y2FuYXJ5LXdlYmhvb2stc2VjcmV0LTAxMjM0NTY3"


class WebhookReceiver(FakePlatform):
    deduplicates = True

    def is_authorized(self, seen: Seen) -> bool:
        try:
            Webhook(SECRET).verify(seen.body, dict(seen.headers))
        except (WebhookVerificationError, ValueError):
            return False
        return True

    def problems(self, seen: Seen) -> list[str]:
        body = seen.json()
        wrong = [name for name in ("type", "timestamp", "data") if name not in body]
        return [f"{name} is missing" for name in wrong] + ([] if seen.path == "/hook/canary-path" else ["wrong path"])

    def items(self, seen: Seen) -> list[Item]:
        data = seen.json()["data"]
        messages = data if isinstance(data, list) else [data]
        return [Item(message["idempotency_key"], message["user_id"]) for message in messages]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(204)


def _case(label: str, batch_size: int) -> DestinationCase:
    return DestinationCase(
        name="webhook",
        label=label,
        environment=lambda url: {
            "TRIPLINE_WEBHOOK_URL": f"{url}/hook/canary-path",
            "TRIPLINE_WEBHOOK_SECRET": SECRET,
            "TRIPLINE_WEBHOOK_BATCH_SIZE": str(batch_size),
        },
        wrong_credentials={"TRIPLINE_WEBHOOK_SECRET": "whsec_YW5vdGhlciBzZWNyZXQ="},
        secrets=(SECRET, SECRET.removeprefix("whsec_"), "canary-path"),
        fake=WebhookReceiver,
        expected_key=lambda row: row.idempotency_key,
    )


SINGLE = _case("webhook, one firing a message", 1)
BATCH = _case("webhook, batches", 100)
