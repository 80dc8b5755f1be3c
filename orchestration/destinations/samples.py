"""Made-up rows, for checking what is written by hand: no person, and texts that show what was not escaped."""

from __future__ import annotations

import json
from datetime import datetime

from orchestration.destinations.base import OutboxRow

AT = datetime(2026, 1, 1)
TEXT = '"quoted", \\escaped and ünïcode'


class _AnyId(dict[str, str]):
    """External ids of every kind: which ones there are is known only with the data."""

    def __missing__(self, kind: str) -> str:
        return TEXT


def sample_row(number: int = 0) -> OutboxRow:
    """A row with everything that the outbox can hold; the payload is campaign_payload's (macros/activation)."""
    window = f"{AT.isoformat(timespec='microseconds')}Z"
    product = {"product_id": TEXT, "category": TEXT}
    payload = {
        "user_id": TEXT,
        "email": TEXT,
        "phone": TEXT,
        "external_ids": {},
        "trigger": TEXT,
        "matched_at": window,
        "decided_at": window,
        "campaign": TEXT,
        "variant": TEXT,
        "properties": {
            "observed_value": 1.5, "threshold_value": 1.0, "window_started_at": window,
            **product, "products": [product],
        },
        "evidence": {
            "event_keys": [TEXT], "window_started_at": window, "observed_value": 1.5, "threshold_value": 1.0,
        },
    }  # fmt: skip
    return OutboxRow(
        idempotency_key=f"{number:032x}",
        decision_id=f"{number:032x}",
        destination=TEXT,
        campaign=TEXT,
        trigger_name=TEXT,
        user_id=TEXT,
        matched_at=AT,
        decided_at=AT,
        is_match_present=True,
        previous_status=None,
        attempt=1,
        payload=json.dumps(payload),
        email=TEXT,
        phone=TEXT,
        external_ids=_AnyId(),
        action=TEXT,
        platform_ref=TEXT,
    )
