"""Scenes for the hostile histories: each puts one family of users on the edge of a rule.

A scene takes a random source, the family's name and an origin (the start of a day, microseconds), and returns acts in
no order that matters. `edge()` is the microsecond around an instant, where closed and open intervals differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tests.replay.reading import DAY, HOUR, MINUTE, SECOND
from tests.replay.saying import traits

SPELLINGS = {
    "product_viewed": ("Product Viewed", "productViewed", "product-viewed", "product_viewed", " Product  Viewed! "),
    "product_added": ("Product Added", "ProductAdded", "product added"),
    "order_completed": ("Order Completed", "order_completed", "orderCompleted"),
    "checkout_started": ("Checkout Started", "checkoutStarted"),
    "signed_in": ("Signed In", "SignedIn", "signed_in"),
}
CALLS = ("page", "identify", "screen", "group", "alias")


@dataclass(frozen=True)
class Act:
    """Something that happens at `at` (microseconds); who did it is settled by `wear`."""

    at: int
    what: str
    properties: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    traits: dict[str, Any] | None = None
    user: str | None = None
    device: str | None = None
    is_last: bool = False
    """Whether it comes in one of the last batches, whenever it happened."""

    def names(self, random: Random) -> dict[str, Any]:
        """The parts of the message that say what happened, in one of the spellings clients use."""
        body: dict[str, Any] = {"type": self.what} if self.what in CALLS else {"type": "track"}
        if self.what not in CALLS:
            body["event"] = random.choice(SPELLINGS.get(self.what, (self.what,)))
        if self.properties:
            body["properties"] = self.properties
        if self.context:
            body["context"] = self.context
        if self.traits is not None:
            body["traits"] = self.traits
        return body


Scene = Callable[[Random, str, int], list[Act]]


def edge(random: Random) -> int:
    return random.choice((-1, 0, 0, 1))


def price(random: Random) -> dict[str, Any]:
    """Sums of these meet 200 exactly, miss it by a ten-thousandth, and are sometimes no numbers at all."""
    properties = {
        "price": random.choice(
            (100, "100.00", 99.9999, 100.00005, " 50 ", "1e2", 40, "free", None, True, -5, "+33.3333")
        ),
        "quantity": random.choice((1, 2, "2", "1.5", 0.5, None, "many", 4)),
    }
    return {name: value for name, value in properties.items() if value is not None or random.random() < 0.5}


def view(random: Random, at: int, product: Any = "p1", category: Any = "c1", url: str | None = "/p1") -> Act:
    properties = {"product_id": product, "category": category}
    if url is None:
        return Act(at, "product_viewed", properties)
    if random.random() < 0.3:
        return Act(at, "product_viewed", properties, {"page": {"url": url}})
    return Act(at, "product_viewed", properties | {"url": url})


def page(at: int, url: str | None) -> Act:
    return Act(at, "page", {"url": url} if url else {})


def wear(random: Random, name: str, acts: list[Act]) -> list[Act]:
    """Who the actor is: known, anonymous, linked late, or a device that two people use."""
    user, other, device = f"{name}-u", f"{name}-v", f"{name}-d"
    way = random.choice(("known", "known", "known", "both", "anonymous", "mixed", "last", "earlier", "shared"))
    if way in ("known", "both"):
        return [replace(act, user=user, device=device if way == "both" else None) for act in acts]
    if way == "anonymous":
        return [replace(act, device=device, user=random.choice((None, "null"))) for act in acts]
    if way == "shared":
        return [replace(act, user=random.choice((user, other, None)), device=device) for act in acts]
    worn = [
        replace(act, user=user if way == "mixed" and random.random() < 0.5 else None, device=device) for act in acts
    ]
    instants = sorted(act.at for act in acts)
    worn.append(_link(random, random.choice(instants), user, device, is_last=way != "mixed"))
    if way == "earlier":
        worn.append(_link(random, instants[-1] + random.choice((0, 1, DAY)), other, device, is_last=False))
    return worn


def _link(random: Random, at: int, user: str, device: str, *, is_last: bool) -> Act:
    what = random.choice(("identify", "email_delivered", "alias"))
    return Act(at, what, traits=traits(random), user=user, device=device, is_last=is_last)


def dwell(random: Random, name: str, origin: int) -> list[Act]:
    at, acts = origin + random.randrange(86_000) * SECOND, []
    for _ in range(random.randint(1, 3)):
        url = random.choice(("/p1", "/p1", None))
        acts.append(view(random, at, url=url))
        if random.random() < 0.3:
            acts.append(view(random, at, "p2", "c2", random.choice((url, "/p2"))))
        if random.random() < 0.4:
            acts.append(view(random, at + random.choice((1, 90, 179)) * SECOND, url=url))
        if random.random() < 0.5:
            acts.append(page(at + 180 * SECOND + edge(random), random.choice((url, "/other", None))))
        proof = at + 180 * SECOND + edge(random)
        acts.append(Act(proof, random.choice(("Scrolled", "signed_in", "order_shipped"))))
        at = proof + random.choice((1, 20 * SECOND, 200 * SECOND, 30 * MINUTE + edge(random)))
    acts.append(random.choice((page(at, "/end"), Act(at, "Scrolled"))))
    return wear(random, name, acts)


def related(random: Random, name: str, origin: int) -> list[Act]:
    start, acts = origin + random.randrange(80_000) * SECOND, []
    steps = (0, 0, 1, 3 * MINUTE, 5 * MINUTE, 10 * MINUTE)
    for count in range(random.randint(0, 3)):
        last = start + 10 * MINUTE + edge(random)
        for at, product in ((start, "p1"), (start + 5 * MINUTE, "p2"), (last, "p3")):
            acts.append(view(random, at, product, "c1", f"/{product}"))
        start += random.choice((10, 10, 15, 20, 25)) * MINUTE + edge(random) * (count + 1)
    for _ in range(random.randint(0, 10)):
        start += random.choice(steps) + random.choice((0, 0, edge(random)))
        seen, category = random.choice(("p1", "p2", "p3", 3, "")), random.choice(("c1", "c1", "c1", "c2", " "))
        acts.append(view(random, start, seen, category, random.choice(("/p1", "/p2"))))
        if random.random() < 0.25:
            acts.append(view(random, start, random.choice(("p1", "p4", "p5")), random.choice(("c1", "c2"))))
    return wear(random, name, acts or [view(random, start)])


def visits(random: Random, name: str, origin: int) -> list[Act]:
    """Visits that open and close around midnight, of UTC and of the zones that the replays report in."""
    at = origin + random.choice((0, 4 * HOUR, 5 * HOUR, 10 * HOUR, 22 * HOUR)) + random.choice((0, edge(random)))
    acts = []
    for _ in range(random.randint(5, 14)):
        acts.append(Act(at, random.choice(("Scrolled", "page", "signed_in", "email_delivered"))))
        at += random.choice((0, 10 * MINUTE, 30 * MINUTE + edge(random), 31 * MINUTE, 40 * MINUTE, 5 * HOUR))
    return wear(random, name, acts)


def sign_ins(random: Random, name: str, origin: int) -> list[Act]:
    midnight = origin + random.choice((0, 4 * HOUR, 5 * HOUR, 24 * HOUR))
    acts = []
    for _ in range(random.randint(3, 9)):
        offset = random.choice((0, -1, 1, edge(random) + HOUR, 23 * HOUR, 24 * HOUR - 1, 24 * HOUR, 7 * HOUR))
        acts.append(Act(midnight + offset, "signed_in"))
    return wear(random, name, acts)


def cart(random: Random, name: str, origin: int) -> list[Act]:
    at, acts = origin + random.randrange(1_000) * SECOND, []
    for _ in range(random.randint(1, 3)):
        acts.append(Act(at, "product_added", price(random)))
        if random.random() < 0.2:
            acts.append(Act(at, "product_added", price(random)))
        if random.random() < 0.6:
            wait = random.choice((0, -1, HOUR, 24 * HOUR + edge(random)))
            acts.append(Act(at + wait, "order_completed"))
        at += random.choice((24 * HOUR + edge(random), 2 * HOUR, 3 * DAY))
    if random.random() < 0.5:
        acts.append(Act(at - 24 * HOUR - HOUR, "order_completed", is_last=True))
    return wear(random, name, acts)


def checkout(random: Random, name: str, origin: int) -> list[Act]:
    at, acts = origin + random.randrange(1_000) * SECOND, []
    for _ in range(random.randint(1, 3)):
        acts.append(Act(at, "product_added", price(random)))
        opened = at + random.choice((0, 5 * MINUTE, 30 * MINUTE + edge(random)))
        acts.append(Act(opened, "checkout_started"))
        if random.random() < 0.4:
            acts.append(Act(opened + random.choice((0, 0, HOUR + edge(random))), "checkout_started"))
        if random.random() < 0.4:
            acts.append(Act(random.choice((at, opened, opened + HOUR)) + edge(random), "order_completed"))
        if random.random() < 0.3:
            acts.append(Act(random.choice((at, opened)), "product_added", price(random)))
        at = opened + random.choice((10 * MINUTE, HOUR + edge(random), 5 * HOUR))
    return wear(random, name, acts)


def engaged(random: Random, name: str, origin: int) -> list[Act]:
    at, acts = origin + random.randrange(80_000) * SECOND, []
    for _ in range(random.randint(1, 2)):
        acts.append(random.choice((Act(at, "Scrolled"), view(random, at, "x1"))))
        for _ in range(random.randint(1, 4)):
            later = at + random.choice((0, 60 * SECOND, 180 * SECOND + edge(random), 400 * SECOND))
            acts.append(random.choice((Act(later, "Scrolled"), view(random, later, random.choice(("x1", "x2", "p1"))))))
        at += 30 * MINUTE + random.choice((180 * SECOND, 400 * SECOND)) + edge(random)
    return wear(random, name, acts)


def valuable(random: Random, name: str, origin: int) -> list[Act]:
    at, acts = origin + random.randrange(80_000) * SECOND, []
    for _ in range(random.randint(0, 2)):
        acts.append(Act(at, "product_added", {"price": "100.0000"}))
        acts.append(Act(at + HOUR + edge(random), "product_added", {"price": random.choice((100, 99.9999, "1e2"))}))
        at += random.choice((2 * HOUR, 2 * HOUR, 3 * HOUR)) + edge(random)
    for _ in range(random.randint(1, 8)):
        acts.append(Act(at, "product_added", price(random)))
        at += random.choice((0, 1, 20 * MINUTE, 30 * MINUTE, HOUR + edge(random)))
    return wear(random, name, acts)


def lapsed(random: Random, name: str, origin: int) -> list[Act]:
    at, acts = origin + random.randrange(80_000) * SECOND, []
    for _ in range(random.randint(2, 4)):
        acts.append(Act(at, random.choice(("Scrolled", "page", "signed_in", "order_shipped"))))
        if random.random() < 0.3:
            acts.append(Act(at, "Scrolled"))
        at += random.choice((14 * DAY + edge(random), 14 * DAY + edge(random), 15 * DAY, 2 * DAY))
    if random.random() < 0.4:
        acts.append(Act(origin + random.randrange(14) * DAY, "Scrolled", is_last=True))
    return wear(random, name, acts)


def long_visit(random: Random, name: str, origin: int) -> list[Act]:
    """A visit of one to three days, and now and then an event that bridges two."""
    at, end, acts = origin, origin + random.randint(1, 3) * DAY, []
    while at < end:
        what = random.choice(("Scrolled", "Scrolled", "page", "view", "product_added", "signed_in"))
        acts.append(view(random, at, random.choice(("x1", "p1"))) if what == "view" else Act(at, what))
        at += random.randint(20, 29) * MINUTE
        if random.random() < 0.05:
            acts.append(Act(at, "Scrolled", is_last=True))
            at += random.randint(20, 29) * MINUTE
    return wear(random, name, acts)


def links(random: Random, name: str, origin: int) -> list[Act]:
    """Two devices, two people, links that come in any order, and behaviour on all of them."""
    users, devices = (f"{name}-u", f"{name}-v"), (f"{name}-d", f"{name}-e")
    acts = [
        replace(act, user=random.choice((None, None, None, *users)), device=random.choice(devices))
        for act in mixed_acts(random, origin)
    ]
    instants = sorted({act.at for act in acts})
    for _ in range(random.randint(2, 5)):
        at = random.choice(instants) + random.choice((0, 0, 1, -1))
        acts.append(_link(random, at, random.choice(users), random.choice(devices), is_last=random.random() < 0.6))
    return acts


def refusing(random: Random, name: str, origin: int) -> list[Act]:
    """Somebody who says what they agree to, and changes their mind."""
    acts = mixed(random, name, origin)
    return [
        replace(act, context={"consent": {"categoryPreferences": {"marketing": random.random() < 0.5}}})
        if random.random() < 0.2
        else act
        for act in acts
    ]


def identifying(random: Random, name: str, origin: int) -> list[Act]:
    """Somebody who says who they are, again and again: around midnight, at one instant, before and after a link."""
    midnight, acts = origin + DAY, mixed_acts(random, origin)[:6]
    for _ in range(random.randint(2, 8)):
        at = random.choice((midnight, midnight + random.choice((-DAY, 5 * HOUR, DAY)), random.choice(acts).at))
        what = random.choice(("identify", "identify", "identify", "identify", "group", "Identify"))
        acts.append(Act(at + edge(random), what, traits=traits(random), is_last=random.random() < 0.3))
    return wear(random, name, acts)


def mixed_acts(random: Random, origin: int) -> list[Act]:
    """Everything, on a grid coarse enough for ties, over a day or two."""
    acts, at = [], origin + random.randrange(24) * HOUR
    for _ in range(random.randint(8, 30)):
        what = random.choice(("view", "view", "view", "page", "product_added", "product_added", "checkout_started",
                              "order_completed", "signed_in", "Scrolled", "order_shipped"))  # fmt: skip
        if what == "view":
            product = random.choice(("p1", "p2", "p3", "x1"))
            acts.append(view(random, at, product, random.choice(("c1", "c2")), random.choice(("/a", "/b", None))))
        elif what == "page":
            acts.append(page(at, random.choice(("/a", "/b", None))))
        else:
            acts.append(Act(at, what, price(random) if what == "product_added" else {}))
        at += random.choice((0, 0, 1, MINUTE, 4 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR)) + edge(random)
    return acts


def mixed(random: Random, name: str, origin: int) -> list[Act]:
    return wear(random, name, mixed_acts(random, origin))


SCENES: dict[str, Scene] = {
    "dwell": dwell,
    "related": related,
    "visits": visits,
    "sign_ins": sign_ins,
    "cart": cart,
    "checkout": checkout,
    "engaged": engaged,
    "valuable": valuable,
    "lapsed": lapsed,
    "long_visit": long_visit,
    "links": links,
    "mixed": mixed,
    "refusing": refusing,
    "identifying": identifying,
}
