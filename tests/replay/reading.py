"""From a line of text to an event that counts: sections 1 and 2 of the semantics, in plain Python.

Times are integers of microseconds since 1970, UTC. Nothing here is shared with the loader.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
EPOCH = date(1970, 1, 1).toordinal()

BLANKS = " \t\n\r\f\v"
NAMED_BY_TYPE = {"page": "page_viewed", "identify": "identify", "group": "group", "alias": "alias", "screen": "screen"}
TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


class Spelled(str):
    """A JSON number, kept as it is spelled."""


@dataclass(frozen=True, slots=True)
class Event:
    """A usable row of raw.events, before it is known whether it counts and whose it is."""

    batch_id: int
    seq: int
    text: str
    event_id: str
    known_user_id: str | None
    anonymous_id: str | None
    client_time: int | None
    name: str
    occurred_at: int
    received_at: int | None
    page_url: str | None
    product_id: str | None
    category: str | None
    price: Decimal | None
    quantity: Decimal | None
    consent: Any = field(compare=False)
    traits: Any = field(compare=False)
    """What an identify call says of the user, as parsed, {} where it says nothing; None for every other event."""

    @property
    def copy_key(self) -> tuple[str, str | None, str | None, int | None]:
        """What copies of one message share."""
        return (self.event_id, self.known_user_id, self.anonymous_id, self.client_time)

    @property
    def merit(self) -> tuple[bool, int, bytes, int]:
        """Of several copies the least counts: received first, then the smallest text, then the one already there."""
        return (self.received_at is None, self.received_at or 0, self.text.encode(), self.seq)


@dataclass(frozen=True, slots=True)
class Refused:
    """A row of raw.quarantined_events."""

    batch_id: int
    text: str
    reason: str


def to_text(value: Any) -> str | None:
    """A scalar as text: numbers as spelled, booleans as words, the rest and blanks None."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value).strip(BLANKS) or None
    return None


def to_id(value: Any) -> str | None:
    text = to_text(value)
    return None if text in ("null", "undefined") else text


def to_number(value: Any) -> Decimal | None:
    """decimal(18,4), half away from zero; None for anything that is no number or does not fit."""
    text = to_text(value)
    if text is None or isinstance(value, bool) or not NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number and number.adjusted() > 20:
        return None
    number = number.quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
    return number if abs(number) < Decimal(10) ** 14 else None


def to_time(value: Any) -> int | None:
    """Microseconds since 1970, UTC; None for anything that is not spelled as section 1 says."""
    found = TIME.fullmatch(value) if isinstance(value, str) else None
    if not found:
        return None
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - EPOCH
    except ValueError:
        return None
    clock = (int(hour or 0), int(minute or 0), int(second or 0))
    if clock[0] > 23 or clock[1] > 59 or clock[2] > 59:
        return None
    shift = 0
    if zone and zone != "Z":
        hours, minutes = int(zone[1:3]), int(zone[-2:])
        if hours > 23 or minutes > 59:
            return None
        shift = (hours * HOUR + minutes * MINUTE) * (-1 if zone[0] == "-" else 1)
    micros = int(((fraction or "") + "000000")[:6])
    return days * DAY + clock[0] * HOUR + clock[1] * MINUTE + clock[2] * SECOND + micros - shift


def to_snake_case(name: str) -> str:
    """`Product Viewed`, `productViewed` and `product-viewed` are all `product_viewed`."""
    out: list[str] = []
    previous = ""
    for char in name:
        kind = unicodedata.category(char)
        if kind[0] != "L" and kind != "Nd":
            out.append("_")
        else:
            if kind == "Lu" and previous in ("Ll", "Nd"):
                out.append("_")
            out.append(char)
        previous = kind
    return re.sub("_+", "_", "".join(out)).strip("_").lower()


def to_name(message: Mapping[str, Any]) -> str | None:
    kind = to_text(message.get("type"))
    if kind in NAMED_BY_TYPE:
        return NAMED_BY_TYPE[kind]
    return to_snake_case(to_text(message.get("event")) or "") or None


def to_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def to_occurred_at(message: Mapping[str, Any], loaded_at: int, future_lands_at: int) -> int | None:
    """Event time: the device's clock corrected by the collector's where both are known, and never in the future."""
    received, sent = to_time(message.get("receivedAt")), to_time(message.get("sentAt"))
    stamp, original = to_time(message.get("timestamp")), to_time(message.get("originalTimestamp"))
    client = original if original is not None else stamp
    if received is not None and sent is not None and client is not None:
        occurred: int | None = received - (sent - client)
    else:
        occurred = next((time for time in (stamp, original, received) if time is not None), None)
    if occurred is None:
        return None
    limit = received if received is not None else loaded_at
    return limit + future_lands_at if occurred > limit + 5 * MINUTE else occurred


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _reason_to_refuse(message: Any, occurred_at: int | None) -> str | None:
    if not isinstance(message, dict):
        return "not_an_object"
    known, device = to_id(message.get("userId")), to_id(message.get("anonymousId"))
    tests = (
        ("no_message_id", to_text(message.get("messageId")) is None),
        ("no_user", known is None and device is None),
        ("reserved_id", known is not None and known.startswith("anon:")),
        ("no_name", to_name(message) is None),
        ("no_time", occurred_at is None),
    )
    return next((reason for reason, holds in tests if holds), None)


def read_line(text: str, batch_id: int, seq: int, loaded_at: int, future_lands_at: int) -> Event | Refused:
    """Parse one line. `future_lands_at`: how long after the limit a time in the future is put, microseconds."""
    try:
        message = json.loads(text, parse_int=Spelled, parse_float=Spelled, parse_constant=_refuse_constant)
    except ValueError:
        return Refused(batch_id, text, "not_json")
    occurred_at = to_occurred_at(message, loaded_at, future_lands_at) if isinstance(message, dict) else None
    reason = _reason_to_refuse(message, occurred_at)
    if reason or occurred_at is None:
        return Refused(batch_id, text, reason or "no_time")
    properties, context = to_object(message.get("properties")), to_object(message.get("context"))
    original = to_time(message.get("originalTimestamp"))
    return Event(
        batch_id=batch_id,
        seq=seq,
        text=text,
        event_id=to_text(message.get("messageId")) or "",
        known_user_id=to_id(message.get("userId")),
        anonymous_id=to_id(message.get("anonymousId")),
        client_time=original if original is not None else to_time(message.get("timestamp")),
        name=to_name(message) or "",
        occurred_at=occurred_at,
        received_at=to_time(message.get("receivedAt")),
        page_url=to_text(properties.get("url")) or to_text(to_object(context.get("page")).get("url")),
        product_id=to_text(properties.get("product_id")),
        category=to_text(properties.get("category")),
        price=to_number(properties.get("price")),
        quantity=to_number(properties.get("quantity")),
        consent=context.get("consent"),
        traits=to_object(message.get("traits")) if to_text(message.get("type")) == "identify" else None,
    )


def consented(consent: Any, category: str) -> bool | None:
    """What an event's context.consent says of a category; None where it says nothing."""
    said = to_object(to_object(consent).get("categoryPreferences")).get(category)
    return {"true": True, "false": False}.get(to_text(said) or "")


def first_links(events: Iterable[Event]) -> dict[str, str]:
    """anonymous_id -> the known user it belongs to: earliest on any event with both ids, then the smallest id."""
    best: dict[str, tuple[int, str]] = {}
    for event in events:
        if event.anonymous_id is not None and event.known_user_id is not None:
            claim = (event.occurred_at, event.known_user_id)
            best[event.anonymous_id] = min(best.get(event.anonymous_id, claim), claim)
    return {device: user for device, (_, user) in best.items()}
