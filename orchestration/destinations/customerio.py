"""Customer.io: events of people, by the Track API v2.

Source: Customer.io's own reference of the Track API (docs.customer.io/api/track): `POST /api/v2/batch`, its sizes, its
207, the ULID that it recognises an event by, and the names in an event's attributes that override a campaign.

A row is one event, named by `platform_ref`, else by the campaign. Its `id` is a ULID of the decision's time and 80 bits
of a hash of the idempotency key, so that it is the same whenever it is made.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, RateLimit, SendResult
from orchestration.destinations.batches import BatchDestination, ItemFailure, settle
from orchestration.destinations.http import HttpClient
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
from orchestration.destinations.wire import Answer, Request
from orchestration.errors import PermanentDeliveryError
from orchestration.settings import Settings

NAME = "customerio"
ACTIONS = ("event",)
HOSTS = {"us": "https://track.customer.io", "eu": "https://track-eu.customer.io"}
RESERVED = ("recipient", "from_address", "reply_to")
"""Attributes by which an event changes whom a campaign writes to, and in whose name."""
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # the alphabet of a ULID: no I, L, O, U

# "32kb" and "500kb", read as decimal: the smaller of the two readings.
EVENT_BYTES = 32_000
BODY_BYTES = 499_999  # "must be smaller than 500kb"
EVENT_NAME_BYTES = 100
PERSON_ID_BYTES = 150

CAPABILITIES = Capabilities(
    max_batch_size=500,  # no number is documented: what fits into the body when an event has 1,000 bytes
    max_body_bytes=BODY_BYTES,
    idempotency_key_field="batch[].id",
    deduplicates=True,
    crash_policy=CrashPolicy.RESEND,
    can_reconcile=False,
    permanent_statuses=frozenset(range(400, 500)) - OTHER_TRY,
    # There is one path, so 404 and 405 say that the host is wrong.
    endpoint_statuses=frozenset({401, 403, 404, 405, 415}),
    rate_limits=(RateLimit(1_000, 1),),
    partial_failure="the answer (207) lists the events that were not taken by their position; a request that is "
    "refused as a whole (400) is halved around the row at fault",
    # Events of the past 72 hours can start campaigns; that older ones cannot is not promised.
    history=None,
    needs=("customerio_id", "email"),
    promises={
        CrashPolicy.RESEND: "nothing is lost; nothing takes effect twice, for Customer.io ignores an event whose id "
        "it has met; an event more than 72 hours old is recorded, but may start no campaign",
        CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person",
    },
)


class CustomerioSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_CUSTOMERIO_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_CUSTOMERIO_", extra="ignore", hide_input_in_errors=True)

    site_id: SecretStr | None = Field(default=None, description="of the workspace")
    api_key: SecretStr | None = Field(default=None, description="of the Track API")
    region: Literal["us", "eu"] = Field(default="us", description="where the account's data is kept")
    base_url: BaseUrl | None = Field(default=None, description="instead of the region's")


def create(settings: Settings) -> CustomerioDestination:
    """Raises ConfigError where a credential is missing or a setting makes no sense."""
    ours = read_settings(CustomerioSettings)
    where = "both are in the workspace's settings, API credentials, Track API"
    site_id = required_secret(ours.site_id, "TRIPLINE_CUSTOMERIO_SITE_ID", where)
    api_key = required_secret(ours.api_key, "TRIPLINE_CUSTOMERIO_API_KEY", where)
    pair = f"{site_id}:{api_key}"
    push_settings = PushSettings()
    headers = {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    client = HttpClient(
        NAME,
        ours.base_url or HOSTS[ours.region],
        CAPABILITIES,
        push_settings,
        secrets=[site_id, api_key, pair],
        authorize=lambda request: headers,
    )
    return CustomerioDestination(client, push_settings.batch_size_of(NAME, CAPABILITIES))


class CustomerioDestination(BatchDestination):
    def __init__(self, client: HttpClient, batch_size: int) -> None:
        super().__init__(client, CAPABILITIES, batch_size)

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        return Request.of_json("/api/v2/batch", {"batch": [event_of(row) for row in rows]})

    def decode(self, rows: Sequence[OutboxRow], answer: Answer) -> list[SendResult]:
        """Raises ValueError where an error names none of the rows: which of them were taken is then not known."""
        body = answer.json()
        failures = {}
        for error in (body.get("errors") or []) if isinstance(body, dict) else []:
            index = error.get("batch_index") if len(rows) > 1 else 0
            if not isinstance(index, int) or not 0 <= index < len(rows):
                raise ValueError("an error without a position in the batch")
            failures[index] = ItemFailure(_words(error))
        return settle(rows, answer, failures)


def event_of(row: OutboxRow) -> dict[str, Any]:
    """One item of a batch. Raises PermanentDeliveryError where Customer.io would refuse it."""
    action_of(row, ACTIONS)
    name = event_name_of(row)
    if len(name.encode()) > EVENT_NAME_BYTES:
        raise wrong_campaign(row, f"the name of an event of Customer.io has {EVENT_NAME_BYTES} bytes at most")
    attributes = properties_of(payload_of(row))
    event = {
        "type": "person",
        "identifiers": _identifiers(row),
        "action": "event",
        "name": name,
        "id": ulid_of(row),
        "timestamp": int(row.matched_at.replace(tzinfo=UTC).timestamp()),
        "attributes": {name: value for name, value in attributes.items() if name not in RESERVED},
    }
    size = len(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())
    if size > EVENT_BYTES:
        raise PermanentDeliveryError(f"{size} bytes, and an event of Customer.io has {EVENT_BYTES} at most")
    return event


def ulid_of(row: OutboxRow) -> str:
    """26 characters (github.com/ulid/spec): 48 bits of milliseconds since 1970, then 80 that take chance's place."""
    milliseconds = (row.decided_at - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    chance = hashlib.sha256(row.idempotency_key.encode()).digest()[:10]
    number = milliseconds << 80 | int.from_bytes(chance, "big")
    return "".join(CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


def _identifiers(row: OutboxRow) -> dict[str, str | None]:
    """Customer.io takes one of them only."""
    person = row.external_ids.get("customerio_id")
    if person and len(person.encode()) > PERSON_ID_BYTES:
        raise PermanentDeliveryError(f"customerio_id has more than {PERSON_ID_BYTES} bytes")
    return {"id": person} if person else {"email": row.email}


def _words(error: dict[str, Any]) -> str:
    return ": ".join(str(error[name]) for name in ("reason", "field", "message") if error.get(name))
