"""Snowplow's tracker protocol, POST /com.snowplowanalytics.snowplow/tp2.

Source: Snowplow's tracker protocol reference, and what snowplow-tracker for Python sends. All its values are text.
The application id (`aid`) is the write key: a tracker has no other place for one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw

from orchestration.collector.items import ITEM_BYTES, UNREADABLE, Item, make_item, refused
from orchestration.collector.plan import TrackingPlan
from orchestration.collector.segment import BATCH_ITEMS, Payload, TooManyItems

PAGE = {"url": "url", "page": "title", "refr": "referrer"}
STRUCTURED = {"se_ca": "category", "se_la": "label", "se_pr": "property", "se_va": "value"}
ORDER = {"tr_id": "order_id", "tr_tt": "revenue", "tr_cu": "currency", "tr_tx": "tax", "tr_sh": "shipping"}
ORDER_ITEM = {
    "ti_id": "order_id", "ti_sk": "product_id", "ti_na": "name", "ti_ca": "category", "ti_pr": "price",
    "ti_qu": "quantity", "ti_cu": "currency",
}  # fmt: skip
SCHEMA = re.compile(r"iglu:[^/]+/([^/]+)/jsonschema/[0-9-]+")


def read_payload(body: bytes) -> Payload:
    """Raises TooManyItems."""
    try:
        outer = msgspec.json.decode(body, type=dict[str, Raw])
        listed = msgspec.json.decode(outer.get("data", Raw(b"null")), type=list[Raw])
    except UNREADABLE:
        return Payload(lambda received_at, plan: [refused(body, "no_batch")])
    if len(listed) > BATCH_ITEMS:
        raise TooManyItems(f"a payload holds {BATCH_ITEMS:,} events at most, this one {len(listed):,}")
    key = next((said.get("aid") for raw in listed[:1] if (said := _members(bytes(raw)))), None)
    return Payload(lambda received_at, plan: [_read(bytes(raw), received_at, plan) for raw in listed], key, len(listed))


def _members(text: bytes) -> dict[str, str] | None:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except UNREADABLE:
        return None


def _read(text: bytes, received_at: str, plan: TrackingPlan | None) -> Item:
    if len(text) > ITEM_BYTES:
        return refused(text, "too_large")
    said = _members(text)
    if said is None:
        return refused(text, "not_json")
    try:
        kind, event, properties = _what(said)
    except UNREADABLE:
        return refused(text, "not_json", said.get("eid"))
    page = {ours: said[theirs] for theirs, ours in PAGE.items() if theirs in said}
    fields: dict[str, Any] = {
        "messageId": said.get("eid"),
        "type": kind,
        "event": event,
        "userId": said.get("uid"),
        "anonymousId": said.get("duid") or said.get("nuid") or said.get("tnuid"),
        "properties": {**page, **properties},
        "context": {
            "app": said.get("aid"),
            "page": page,
            "snowplow": {n: v for n, v in said.items() if n in ("tv", "p")},
        },
        **_times(said),
    }
    values = {**fields, "properties": {**page, **_decoded(properties)}}
    return make_item({name: value for name, value in fields.items() if value is not None}, values, received_at, plan)


def _what(said: Mapping[str, str]) -> tuple[str, str | None, dict[str, Any]]:
    """(Segment's type, event name, properties). Raises one of UNREADABLE."""
    match said.get("e"):
        case "pv":
            return "page", None, {}
        case "pp":
            return "track", "page_pinged", {}
        case "se":
            return "track", said.get("se_ac"), _renamed(said, STRUCTURED)
        case "tr":
            return "track", "Order Completed", _renamed(said, ORDER)
        case "ti":
            return "track", "Order Item", _renamed(said, ORDER_ITEM)
        case "ue":
            return _self_describing(said)
    return "track", None, {}


def _self_describing(said: Mapping[str, str]) -> tuple[str, str | None, dict[str, Any]]:
    text = said.get("ue_pr", "").encode()
    if "ue_px" in said:
        packed = said["ue_px"]
        try:
            text = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
        except (binascii.Error, ValueError) as error:
            raise msgspec.DecodeError(str(error)) from error
    msgspec.json.decode(text)  # all of it, which Raw does not look at
    inner = msgspec.json.decode(text, type=dict[str, Raw]).get("data", Raw(b"{}"))
    described = msgspec.json.decode(inner, type=dict[str, Raw])
    schema = SCHEMA.fullmatch(str(msgspec.json.decode(described.get("schema", Raw(b'""')))))
    return (
        "track",
        schema[1] if schema else None,
        msgspec.json.decode(described.get("data", Raw(b"{}")), type=dict[str, Raw]),
    )


def _renamed(said: Mapping[str, str], names: Mapping[str, str]) -> dict[str, Any]:
    return {ours: said[theirs] for theirs, ours in names.items() if theirs in said}


def _decoded(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: msgspec.json.decode(v) if isinstance(v, Raw) else v for name, v in properties.items()}


def _times(said: Mapping[str, str]) -> dict[str, str]:
    """A true timestamp (`ttm`) is taken as it is; a device's is corrected by the loader with the time of sending."""
    if true := _time(said.get("ttm")):
        return {"timestamp": true}
    found = {"originalTimestamp": _time(said.get("dtm")), "sentAt": _time(said.get("stm"))}
    return {name: value for name, value in found.items() if value}


def _time(milliseconds: str | None) -> str | None:
    try:
        moment = datetime.fromtimestamp(int(milliseconds or "") / 1_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
