"""How the tests of the evaluator tell a story: what the user `u` did, and when, as events or as lines."""

from __future__ import annotations

import json
from typing import Any

from tests.replay.evaluator import CopyKey
from tests.replay.reading import DAY, HOUR, MINUTE, SECOND, to_time
from tests.replay.streams import to_iso

T = to_time("2024-03-04") or 0
LOADED = T + 400 * DAY
S, M, H, D = SECOND, MINUTE, HOUR, DAY

Told = tuple[int, str, dict[str, Any]]


def told(at: int, what: str, **properties: Any) -> Told:
    return (at, what, properties)


def view(at: int, product: Any = "p1", category: Any = "c1", url: Any = "/p1") -> Told:
    return told(at, "product_viewed", product_id=product, category=category, url=url)


def page(at: int, url: Any = "/p1") -> Told:
    return told(at, "page_viewed", url=url)


def add(at: int, price: Any = None, quantity: Any = None) -> Told:
    return told(at, "product_added", price=price, quantity=quantity)


def act(at: int) -> Told:
    return told(at, "scrolled")


def order(at: int) -> Told:
    return told(at, "order_completed")


def checkout(at: int) -> Told:
    return told(at, "checkout_started")


def sign_in(at: int) -> Told:
    return told(at, "signed_in")


def line(number: int | str, at: int, what: str, properties: dict[str, Any], **changes: Any) -> str:
    body = {
        "type": "track",
        "messageId": str(number),
        "userId": "u",
        "event": what,
        "properties": properties,
        "timestamp": to_iso(T + at),
    }
    return json.dumps({name: value for name, value in (body | changes).items() if value is not ...})


def key_of(copy_key: CopyKey) -> str:
    return copy_key[0].rjust(2, "0")
