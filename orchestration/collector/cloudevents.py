"""CloudEvents 1.0 over HTTP: structured, in batches, and binary.

Source: the CloudEvents specification and its HTTP protocol binding, version 1.0.2. A CloudEvent says what happened
(`type`), when (`time`) and, with `source` and `id` together, which one it is. Who did it, it leaves to its data: here
`userId` and `anonymousId` are taken from the data, else from extension attributes of those names (lower case, as
attributes are), else the `subject` is the user.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Raw

from orchestration.collector.items import ITEM_BYTES, UNREADABLE, Item, make_item, refused
from orchestration.collector.plan import TrackingPlan
from orchestration.collector.segment import BATCH_ITEMS, Payload, TooManyItems

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
REQUIRED = ("id", "source", "type", "specversion")
USER_MEMBERS = {"userId": "userid", "anonymousId": "anonymousid"}


def read_structured(body: bytes) -> Payload:
    return Payload(lambda received_at, plan: [_read_text(body, received_at, plan)])


def read_batch(body: bytes) -> Payload:
    """Raises TooManyItems."""
    try:
        listed = msgspec.json.decode(body, type=list[Raw])
    except UNREADABLE:
        return Payload(lambda received_at, plan: [refused(body, "no_batch")])
    if len(listed) > BATCH_ITEMS:
        raise TooManyItems(f"a batch holds {BATCH_ITEMS:,} items at most, this one {len(listed):,}")
    return Payload(
        lambda received_at, plan: [_read_text(bytes(raw), received_at, plan) for raw in listed], items=len(listed)
    )


def read_binary(headers: Mapping[str, str], body: bytes) -> Payload:
    """Attributes from `ce-` headers (lower case here), percent-encoded where they are not ASCII."""
    attributes: dict[str, Any] = {
        name.removeprefix("ce-"): unquote(value) for name, value in headers.items() if name.startswith("ce-")
    }

    def build(received_at: str, plan: TrackingPlan | None) -> list[Item]:
        if len(body) > ITEM_BYTES:
            return [refused(body, "too_large")]
        try:
            return [_make(attributes, body, body.decode(), received_at, plan)]
        except UNREADABLE:
            return [refused(body, "not_json")]

    return Payload(build)


def _read_text(text: bytes, received_at: str, plan: TrackingPlan | None) -> Item:
    if len(text) > ITEM_BYTES:
        return refused(text, "too_large")
    try:
        event = msgspec.json.decode(text)
        if not isinstance(event, dict):
            return refused(text, "not_an_object")
        return _make(event, _data_of(text, event), text.decode(), received_at, plan)
    except UNREADABLE:
        return refused(text, "not_json")


def _data_of(text: bytes, event: Mapping[str, Any]) -> bytes:
    """The data as it was spelled; empty where there is none."""
    packed = event.get("data_base64")
    if packed is None:
        return bytes(msgspec.json.decode(text, type=dict[str, Raw]).get("data", b""))
    try:
        return base64.b64decode(str(packed), validate=True)
    except ValueError as error:  # binascii's own, and text that is not ASCII
        raise msgspec.DecodeError(str(error)) from error


def _make(event: Mapping[str, Any], data: bytes, text: str, received_at: str, plan: TrackingPlan | None) -> Item:
    """`event` has the attributes. Raises one of UNREADABLE for data that is no JSON."""
    missing = [name for name in REQUIRED if not isinstance(event.get(name), str) or not event[name].strip()]
    if missing or not event["specversion"].startswith("1."):
        return refused(text, "not_a_cloudevent")
    members = msgspec.json.decode(data) if data else None
    spelled = msgspec.json.decode(data, type=dict[str, Raw]) if isinstance(members, dict) else {}
    said = members if isinstance(members, dict) else {}
    fields: dict[str, Any] = {
        "messageId": f"{event['source']}#{event['id']}",
        "type": "track",
        "event": event["type"],
        "properties": {name: value for name, value in spelled.items() if name not in USER_MEMBERS},
        "context": {"cloudevent": {name: value for name, value in event.items() if not name.startswith("data")}},
    }
    values = {**fields, "properties": {name: value for name, value in said.items() if name not in USER_MEMBERS}}
    for member, attribute in USER_MEMBERS.items():
        if member in said:
            fields[member], values[member] = spelled[member], said[member]
        elif attribute in event:
            fields[member] = values[member] = event[attribute]
    if not USER_MEMBERS.keys() & fields.keys() and event.get("subject"):
        fields["userId"] = values["userId"] = event["subject"]
    if event.get("time"):
        fields["originalTimestamp"] = event["time"]
    return make_item(fields, values, received_at, plan)
