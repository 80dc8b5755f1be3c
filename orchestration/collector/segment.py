"""Segment's HTTP API: one call, or a batch of them.

Source: Segment's documentation of its HTTP tracking API, and what its clients for Python and Node send.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from orchestration.collector.items import TYPES, UNREADABLE, Item, Shared, read_item, refused
from orchestration.collector.plan import TrackingPlan

BATCH_ITEMS = 2_500
CALLS = (*TYPES, "batch")

Build = Callable[[str, TrackingPlan | None], list[Item]]
"""The items of a request, given when it was received (RFC 3339) and its source's plan."""


@dataclass(frozen=True)
class Payload:
    """A request that was understood as far as its outside. `write_key` is the one in the body, if any."""

    build: Build
    write_key: str | None = None
    items: int = 1


class TooManyItems(ValueError):
    pass


def read_call(call: str, body: bytes) -> Payload:
    """Raises TooManyItems for a batch above BATCH_ITEMS."""
    try:
        outer = msgspec.json.decode(body, type=dict[str, Raw])
    except UNREADABLE:
        # Its reason is for read_item to find, which looks at all of it.
        return Payload(lambda received_at, plan: [read_item(body, received_at, plan)])
    key = _text(outer.get("writeKey"))
    if call != "batch":
        return Payload(lambda received_at, plan: [read_item(body, received_at, plan, call=call)], key)
    try:
        listed = msgspec.json.decode(outer.get("batch", Raw(b"null")), type=list[Raw])
        for name in ("context", "integrations", "sentAt"):  # items are looked at one by one, what they share is not
            msgspec.json.decode(outer.get(name, Raw(b"null")))
    except UNREADABLE:
        return Payload(lambda received_at, plan: [refused(body, "no_batch")], key)
    if len(listed) > BATCH_ITEMS:
        raise TooManyItems(f"a batch holds {BATCH_ITEMS:,} items at most, this one {len(listed):,}")
    shared = Shared(outer.get("context"), outer.get("integrations"), outer.get("sentAt"))
    return Payload(
        lambda received_at, plan: [read_item(raw, received_at, plan, shared) for raw in listed], key, len(listed)
    )


def _text(raw: Raw | None) -> str | None:
    try:
        value = msgspec.json.decode(raw) if raw is not None else None
    except UNREADABLE:
        return None
    return value if isinstance(value, str) else None
