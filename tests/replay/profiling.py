"""What is known of each user: section 2 of the semantics, by brute force over one user's events.

Where the page leaves room, this is what was read into it:

 1. An identify call is one whose type says so; a track call of that name says nothing.
 2. A value that is no text and no number is no address; nor is one that is null, which forgets the trait.
 3. Addresses are read from the trait that counts, and no older one takes the place of one that is unusable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.replay.reading import to_text
from tests.replay.rules import Owned


@dataclass(frozen=True, slots=True, order=True)
class Profile:
    """A row of triggers.user_profiles: JSON as text with sorted names, times in microseconds."""

    user_id: str
    email: str | None
    phone: str | None
    external_ids: str
    address_kinds: tuple[str, ...]
    traits: str
    updated_at: int


def canonical(value: Any) -> str:
    """JSON as text that two spellings of one value share; numbers as spelled."""
    return json.dumps(value, sort_keys=True)


def profile_of(user: str, events: Sequence[Owned], kinds: Mapping[str, str]) -> Profile | None:
    """`kinds`: trait -> email, phone, or the name of an external id. None for somebody who never identified."""
    calls = [one for one in events if one.event.traits is not None]
    if not calls:
        return None
    latest: dict[str, tuple[tuple[int, str], Any]] = {}
    for one in calls:
        for name, value in one.event.traits.items():
            # Later first, then the smaller key.
            held = latest.get(name)
            if held is None or one.at > held[0][0] or (one.at == held[0][0] and one.key < held[0][1]):
                latest[name] = ((one.at, one.key), value)
    traits = {name: value for name, (_, value) in latest.items() if value is not None}
    addresses = {kind: text for trait, kind in kinds.items() if (text := address(traits.get(trait), kind))}
    return Profile(
        user_id=user,
        email=addresses.get("email"),
        phone=addresses.get("phone"),
        external_ids=canonical({kind: text for kind, text in addresses.items() if kind not in ("email", "phone")}),
        address_kinds=tuple(sorted(addresses)),
        traits=canonical(traits),
        updated_at=max(one.at for one in calls),
    )


def address(value: Any, kind: str) -> str | None:
    if not isinstance(value, str):  # numbers are kept as spelled
        return None
    text = to_text(value)
    return None if kind == "email" and "@" not in (text or "") else text
