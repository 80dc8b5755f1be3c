"""HubSpot: completions of custom events, and properties of contacts.

Sources, all HubSpot's own (developers.hubspot.com/docs): "Send custom event data" and the reference of
`/events/v3/send/batch` for bodies, `uuid` and the exemption from rate limits; the changelog of 2021-09-20 for the
limits of event properties; "Contacts" and the references of `batch/upsert` and `batch/update`; "Error handling" for
multi-status answers, 423 and 477; "API usage guidelines" for limits, headers and `policyName`.

Actions, in seeds/campaigns.csv:

- `event` (the default): one completion of the event that `platform_ref` names, `pe{HubID}_{name}`. `uuid` is a UUIDv5
  of the idempotency key: of one uuid and event type HubSpot keeps the first within a year.
- `profile`: the firing as properties of the contact, which is made where no contact has the e-mail. A contact that is
  known by its id is updated instead, since an upsert wants a unique property and the record id is none.

Every property is a text. Events and properties must have been defined in HubSpot before.
"""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, PositiveInt, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.destinations.base import Capabilities, CrashPolicy, OutboxRow, Outcome, RateLimit, SendResult
from orchestration.destinations.batches import BatchDestination, settle
from orchestration.destinations.http import HttpClient
from orchestration.destinations.hubspot_answers import blamed_in, failures_in, judge
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.vendors import (
    BaseUrl,
    action_of,
    payload_of,
    properties_of,
    read_settings,
    required_secret,
    wrong_campaign,
)
from orchestration.destinations.wire import Answer, Request
from orchestration.errors import PermanentDeliveryError
from orchestration.settings import Settings

NAME = "hubspot"
EVENT, PROFILE = "event", "profile"
NAMESPACE = uuid.UUID("a6d4a53d-26cc-5f20-9a85-237cc21c4a52")
"""Of the UUIDv5 made of idempotency keys; another one would make HubSpot take known events for new ones."""

EVENT_NAME = re.compile(r"pe[0-9]+_[a-z0-9_-]+")
PROPERTY_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
EVENT_PROPERTIES = 50
CUSTOM_SINCE = "2026-09"  # from this version on, events are sent to /events/custom/{version}/

CAPABILITIES = Capabilities(
    # Contacts: "limited to 100 records at a time". For events no number is documented, so the same.
    max_batch_size=100,
    idempotency_key_field="uuid",
    deduplicates=True,
    crash_policy=CrashPolicy.RESEND,
    can_reconcile=False,
    # 423 is a lock, 477 a portal on its way to another data centre: both ask for another try.
    permanent_statuses=frozenset(range(400, 500)) - {408, 423, 425, 429, 477},
    endpoint_statuses=frozenset({401, 403, 405, 415}),
    # Sending events is exempt. The least that any account has. The daily limit is left to the answer that names it:
    # kept by spreading requests over the day, it would slow down every push for a quota that is hardly ever used up.
    rate_limits=(RateLimit(100, 10, "contacts"),),
    partial_failure="a batch of events, or of contacts named by e-mail, is taken or refused as a whole and halved "
    "around the row at fault; of contacts named by id the answer (207) says which were not written",
    history=None,  # a past occurredAt is recorded as such, but nothing says that no workflow starts for it
    needs=("hubspot_contact_id", "email"),
    promises={
        CrashPolicy.RESEND: "nothing is lost, and no event is recorded twice within a year, for HubSpot keeps the "
        "first of a uuid; a contact is given the same properties again, by which it may lose those of a newer firing",
        CrashPolicy.HOLD: "nothing is sent twice; what is in doubt waits for a person",
    },
)


class HubspotSettings(BaseSettings):
    """Each is an environment variable `TRIPLINE_HUBSPOT_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="TRIPLINE_HUBSPOT_", extra="ignore", hide_input_in_errors=True)

    token: SecretStr | None = Field(default=None, description="of a private app")
    base_url: BaseUrl = "https://api.hubapi.com"
    api_version: str = Field(default="v3", pattern=r"^(v3|20\d\d-(03|09))$", description="v3, 2026-03, 2026-09, …")
    time_zone: str | None = Field(default=None, description="the portal's, in which its daily limit begins anew")
    event_value_chars: PositiveInt = Field(default=50, description="of an event property's value; the rest is cut off")
    contact_prefix: str = Field(
        default="tripline_", pattern="^[a-z][a-z0-9_]*$", description="of the contact properties that are written"
    )

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        if value:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                raise ValueError("is no time zone, such as Europe/Berlin") from None
        return value or None

    def events_path(self) -> str:
        version = self.api_version
        is_custom = version != "v3" and version >= CUSTOM_SINCE
        return f"/events/custom/{version}/send/batch" if is_custom else f"/events/{version}/send/batch"

    def contacts_path(self, verb: str) -> str:
        version = self.api_version
        objects = "/crm/v3/objects" if version == "v3" else f"/crm/objects/{version}"
        return f"{objects}/contacts/batch/{verb}"


def create(settings: Settings) -> HubspotDestination:
    """Raises ConfigError where TRIPLINE_HUBSPOT_TOKEN is missing or a setting makes no sense."""
    ours = read_settings(HubspotSettings)
    scopes = "analytics.behavioral_events.send and crm.objects.contacts.write"
    token = required_secret(ours.token, "TRIPLINE_HUBSPOT_TOKEN", f"make a private app with the scopes {scopes}")
    push_settings = PushSettings()
    headers = {"authorization": f"Bearer {token}"}
    client = HttpClient(
        NAME,
        ours.base_url,
        CAPABILITIES,
        push_settings,
        secrets=[token],
        authorize=lambda request: headers,
        judge=judge(CAPABILITIES, ZoneInfo(ours.time_zone) if ours.time_zone else None),
    )
    return HubspotDestination(ours, client, push_settings.batch_size_of(NAME, CAPABILITIES))


class HubspotDestination(BatchDestination):
    def __init__(self, settings: HubspotSettings, client: HttpClient, batch_size: int) -> None:
        super().__init__(client, CAPABILITIES, batch_size)
        self.settings = settings

    def send(self, rows: Sequence[OutboxRow]) -> list[SendResult]:
        return [_as_known(result) for turn in _turns(rows) for result in super(HubspotDestination, self).send(turn)]

    def prepare(self, rows: Sequence[OutboxRow]) -> list[Request]:
        return [request for turn in _turns(rows) for request in super(HubspotDestination, self).prepare(turn)]

    def group_key(self, row: OutboxRow) -> Hashable:
        return (row.action, _is_profile(row) and bool(_contact_id(row)))

    def encode(self, rows: Sequence[OutboxRow]) -> Request:
        actions = {action_of(row, (EVENT, PROFILE)) for row in rows}
        if actions == {EVENT}:
            inputs = [event_input(row, self.settings.event_value_chars) for row in rows]
            return Request.of_json(self.settings.events_path(), {"inputs": inputs}, scope="events")
        verb = "update" if _contact_id(rows[0]) else "upsert"
        inputs = [contact_input(row, self.settings.contact_prefix) for row in rows]
        return Request.of_json(self.settings.contacts_path(verb), {"inputs": inputs}, scope="contacts")

    def decode(self, rows: Sequence[OutboxRow], answer: Answer) -> list[SendResult]:
        if not _is_profile(rows[0]):
            return settle(rows, answer)
        traces = [row.idempotency_key for row in rows]
        return settle(rows, answer, failures_in(answer, traces, [_contact_id(row) for row in rows]))

    def blame(self, rows: Sequence[OutboxRow], error: PermanentDeliveryError) -> Mapping[int, str]:
        return blamed_in(error.answer, [row.idempotency_key for row in rows]) if _is_profile(rows[0]) else {}


def event_uuid(row: OutboxRow) -> str:
    return str(uuid.uuid5(NAMESPACE, row.idempotency_key))


def event_input(row: OutboxRow, value_chars: int) -> dict[str, Any]:
    """One of the `inputs` of the events endpoint. Raises PermanentDeliveryError where HubSpot would refuse it."""
    name = (row.platform_ref or "").strip()
    if not EVENT_NAME.fullmatch(name):
        told = f'platform_ref "{name}" is no event of HubSpot, whose names are pe<HubID>_<name>'
        raise wrong_campaign(row, told)
    texts = {name: text_of(value, value_chars) for name, value in properties_of(payload_of(row)).items()}
    if len(texts) > EVENT_PROPERTIES:
        raise PermanentDeliveryError(f"{len(texts)} properties, and an event of HubSpot has {EVENT_PROPERTIES} at most")
    contact = _contact_id(row)
    return {
        "eventName": name,
        **({"objectId": contact} if contact else {"email": row.email}),
        "occurredAt": f"{row.matched_at.isoformat(timespec='milliseconds')}Z",
        "uuid": event_uuid(row),
        "properties": _named(texts),
    }


def contact_input(row: OutboxRow, prefix: str) -> dict[str, Any]:
    """One of the `inputs` of batch/update, or of batch/upsert where the contact's id is not known."""
    texts = {f"{prefix}{name}": text_of(value) for name, value in properties_of(payload_of(row)).items()}
    contact = _contact_id(row)
    return {
        **({"id": contact} if contact else {"id": row.email, "idProperty": "email"}),
        "properties": _named(texts),
        "objectWriteTraceId": row.idempotency_key,
    }


def _named(texts: dict[str, str]) -> dict[str, str]:
    for name in texts:
        if not PROPERTY_NAME.fullmatch(name):
            raise PermanentDeliveryError(f'"{name}" cannot be the name of a HubSpot property')
    return texts


def text_of(value: Any, most: int | None = None) -> str:
    """A property's value as HubSpot writes it: true and false, whole numbers without a point, lists with semicolons.

    Of a list that is longer than `most` characters the last entries are left out; another text is cut.
    """
    if isinstance(value, list):
        return _listed([text_of(_id_of(one)) for one in value], most)
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, float) and value.is_integer():
        text = str(int(value))
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:most]


def _listed(texts: list[str], most: int | None) -> str:
    while most is not None and len(";".join(texts)) > most:
        texts = texts[:-1]
    return ";".join(texts)


def _id_of(one: Any) -> Any:
    return one["product_id"] if isinstance(one, dict) and one.get("product_id") else one


def _is_profile(row: OutboxRow) -> bool:
    return (row.action or "").strip() == PROFILE


def _contact_id(row: OutboxRow) -> str:
    return row.external_ids.get("hubspot_contact_id") or ""


def _turns(rows: Sequence[OutboxRow]) -> list[list[OutboxRow]]:
    """Events first, for they know no limits; then contacts, each once a turn and in the rows' order: HubSpot refuses
    a batch that names a contact twice, and the latest firing must be what remains."""
    turns: dict[int, list[OutboxRow]] = {}
    met: Counter[str] = Counter()
    for row in rows:
        turn = 0
        if _is_profile(row):
            contact = _contact_id(row) or (row.email or "").strip().lower()
            met[contact] += 1
            turn = met[contact]
        turns.setdefault(turn, []).append(row)
    return [turns[turn] for turn in sorted(turns)]


def _as_known(result: SendResult) -> SendResult:
    """A conflict over a row's own uuid means that the event had arrived before: that is what the key is for."""
    is_conflict = result.outcome is Outcome.REJECTED and result.http_status == 409
    if is_conflict and not _is_profile(result.row) and event_uuid(result.row) in result.answer:
        return replace(result, outcome=Outcome.DELIVERED)
    return result
