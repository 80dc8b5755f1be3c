"""Outbox rows for tests, as a claim makes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestration.destinations.base import OutboxRow

FIRST = datetime(2026, 11, 1, 10)


def outbox_row(number: int = 0, **changes: Any) -> OutboxRow:
    """User `u<number>` with an e-mail, fired one minute after the one before; `changes` are fields of OutboxRow.

    `number` < 1,000. The payload has the shape of campaign_payload (macros/activation); `properties` in `changes`
    are added to its own.
    """
    properties = changes.pop("properties", {})
    at = FIRST + timedelta(minutes=number)
    fields: dict[str, Any] = {
        "idempotency_key": f"{number:032x}",
        "decision_id": f"{number + 4096:032x}",
        "destination": "under_test",
        "campaign": "come_back",
        "trigger_name": "cart_abandoned",
        "user_id": f"u{number}",
        "matched_at": at,
        "decided_at": at + timedelta(minutes=1),
        "is_match_present": True,
        "previous_status": None,
        "attempt": 1,
        "email": f"u{number}@example.com",
        "phone": None,
        "external_ids": {},
    }
    fields |= changes
    fields.setdefault("payload", json.dumps(_payload(fields, properties)))
    return OutboxRow(**fields)


def _payload(fields: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    window = _iso(fields["matched_at"] - timedelta(days=1))
    return {
        "user_id": fields["user_id"],
        "email": fields["email"],
        "phone": fields["phone"],
        "external_ids": dict(fields["external_ids"]),
        "trigger": fields["trigger_name"],
        "matched_at": _iso(fields["matched_at"]),
        "decided_at": _iso(fields["decided_at"]),
        "campaign": fields["campaign"],
        "variant": "control",
        "properties": {
            "observed_value": 86400.0,
            "threshold_value": 86400.0,
            "window_started_at": window,
            "product_id": "sku-1",
            "category": "shoes",
            "products": [{"product_id": "sku-1", "category": "shoes"}],
            **properties,
        },
        "evidence": {
            "event_keys": ["0f" * 16],
            "window_started_at": window,
            "observed_value": 86400.0,
            "threshold_value": 86400.0,
        },
    }


def _iso(at: datetime) -> str:
    return f"{at.replace(tzinfo=UTC).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"
