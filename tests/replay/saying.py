"""What identify calls say of somebody in the hostile histories: addresses good and bad, nulls, names that need care."""

from __future__ import annotations

from random import Random
from typing import Any

EMAILS = ("a@shop.example", "b@shop.example", "c@shop.example", " \tpadded@shop.example ", "no-at", "", None, True, 7)
TRAITS: dict[str, tuple[Any, ...]] = {
    "email": EMAILS,
    "phone": ("+49 1", 491, " 492 ", None, ["+49 3"], {"mobile": "+49 4"}, False),
    "hubspot_contact_id": ("101", 102, " ", None),
    "plan": ("free", "gold", 3, None, {"name": "team", "seats": [1, None]}),
    "a/b~c": ("odd", None, 1),
    "": (1, None),
}


def traits(random: Random) -> dict[str, Any] | None:
    """What is said of somebody, in any order; often nothing."""
    said = random.sample(sorted(TRAITS), random.choice((0, 1, 1, 2, 3)))
    return {name: random.choice(TRAITS[name]) for name in said} if said or random.random() < 0.5 else None
