"""From what a client sent to a line for the loader, and the reason where the loader could not use it.

The client's values are kept as they were spelled: a number read and written again would be another text, and the text
of an event decides between copies. What is refused is written too, for `raw.quarantined_events`; the loader's SQL
(orchestration/sql/load_typed.sql) has the rules, and a test holds the two together.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Raw

from orchestration.collector.plan import TrackingPlan

# What Segment documents: https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/
ITEM_BYTES = 32 * 1024
TYPES = ("track", "identify", "page", "screen", "group", "alias")
NAMED_BY_TYPE = ("page", "screen", "identify", "group", "alias")
REFUSED_TEXT_CHARS = ITEM_BYTES  # of something too large or broken, the beginning tells what it was
DROPPED = ("writeKey", "receivedAt")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Fields = dict[str, Any]
"""Top-level members of an event; each a msgspec.Raw, or a value to be encoded."""


@dataclass(frozen=True)
class Item:
    """One event as it is written. `reason` is None where it was accepted."""

    line: bytes
    message_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Shared:
    """What a batch says once for all of its items."""

    context: Raw | None = None
    integrations: Raw | None = None
    sent_at: Raw | None = None


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def refused(text: bytes | str, reason: str, message_id: str | None = None) -> Item:
    readable = text if isinstance(text, str) else text.decode("utf-8", "replace")
    line = msgspec.json.encode({"refused": reason, "text": readable[:REFUSED_TEXT_CHARS]}) + b"\n"
    return Item(line, message_id, reason)


def read_item(
    raw: bytes | Raw, received_at: str, plan: TrackingPlan | None, shared: Shared | None = None, call: str | None = None
) -> Item:
    """One event in Segment's layout. `call`: the type that its address says it has."""
    text = bytes(raw)
    if len(text) > ITEM_BYTES:
        return refused(text, "too_large")
    try:
        fields = msgspec.json.decode(text, type=dict[str, Raw])
        values = msgspec.json.decode(text)
    except UNREADABLE:
        return refused(text, "not_json" if not _is_json(text) else "not_an_object")
    return make_item(fields, values, received_at, plan, shared, call)


def make_item(
    fields: Fields,
    values: Mapping[str, Any],
    received_at: str,
    plan: TrackingPlan | None,
    shared: Shared | None = None,
    call: str | None = None,
) -> Item:
    """`fields` become the line, `values` are what they say."""
    out: Fields = {"receivedAt": received_at}  # first: no accepted line begins as a refused one does
    out |= {name: value for name, value in fields.items() if name not in DROPPED}
    if call:
        out["type"] = call
    message_id = text_of(values.get("messageId"))
    if message_id is None:
        message_id = out["messageId"] = str(uuid.uuid4())
    if shared:
        _share(out, shared)
    kind = call or text_of(values.get("type"))
    reason = reason_against(values, kind)
    if reason is None and plan is not None and (violation := plan.violation(values, kind)):
        if plan.is_flagging:
            out["violation"] = violation
        else:
            reason = f"tracking_plan: {violation}"
    line = msgspec.json.encode(out)
    if b"\n" in line or b"\r" in line:
        line = msgspec.json.format(line, indent=-1)
    if reason and reason.startswith("tracking_plan"):
        return refused(line, reason, message_id)
    return Item(line + b"\n", message_id, reason)


def reason_against(values: Mapping[str, Any], kind: str | None) -> str | None:
    """Why the loader will not use an event: semantics, section 1, as far as the collector does not see to it itself
    (an event without an id gets one, one without a time has the time of arrival)."""
    user = id_of(values.get("userId"))
    if user is None and id_of(values.get("anonymousId")) is None:
        return "no_user"
    if user is not None and user.startswith("anon:"):
        return "reserved_id"
    if kind not in NAMED_BY_TYPE and not _has_name(text_of(values.get("event"))):
        return "no_name"
    return None


def text_of(value: Any) -> str | None:
    """A field as text; only whether there is any counts for numbers, whose spelling is not kept."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def id_of(value: Any) -> str | None:
    """A user's or a device's id as text; two spellings of "none" are none (semantics, section 1)."""
    text = text_of(value)
    return None if text in ("null", "undefined") else text


def _has_name(text: str | None) -> bool:
    """Whether snake case leaves anything: letters and decimal digits, of any script."""
    if not text:
        return False
    return bool(re.search(r"[A-Za-z0-9]", text)) or any(
        unicodedata.category(c)[0] == "L" or c.isdecimal() for c in text
    )


def _share(out: Fields, shared: Shared) -> None:
    for name, common in (("context", shared.context), ("integrations", shared.integrations)):
        if common is not None:
            out[name] = _merged(common, out.get(name))
    if shared.sent_at is not None:
        out.setdefault("sentAt", shared.sent_at)


def _merged(common: Raw, own: Any) -> Any:
    """The batch's members, each replaced by the item's own where it has one."""
    if own is None:
        return common
    try:
        return {**msgspec.json.decode(common, type=dict[str, Raw]), **msgspec.json.decode(own, type=dict[str, Raw])}
    except UNREADABLE:
        return own


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except UNREADABLE:
        return False
    return True
