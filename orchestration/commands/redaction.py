"""Masks what names a person: the addresses and ids of known rows wherever they stand, and names by their keys."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from orchestration.destinations.base import OutboxRow

MASK = "***"
EMAIL = re.compile(r"[^\s@\"<>,;:/?&=]+@[^\s@\"<>,;:/?&=]+")
NAME_KEYS = frozenset({"firstname", "lastname", "fullname", "givenname", "familyname", "surname"})
"""Of a person, in lower case without separators; a bare `name` is an event's on most platforms."""
SHORT = 5
"""A value of fewer characters is masked only where it stands alone: inside other words it would hide too much."""


class Redaction:
    """Masks for the people of `rows`. With `is_off` everything is shown."""

    def __init__(self, rows: Iterable[OutboxRow], *, is_off: bool = False) -> None:
        self.is_off = is_off
        values = {value for row in rows for value in (row.email, row.phone, *row.external_ids.values()) if value}
        self._values = values
        # Longest first, so that no part of one is left over by another.
        long = sorted((value for value in values if len(value) >= SHORT), key=lambda value: (-len(value), value))
        self._inside = re.compile("|".join(map(re.escape, long))) if long else None

    def text(self, text: str) -> str:
        """A text with everything personal in it masked."""
        if self.is_off:
            return text
        if text in self._values:
            return masked(text)
        if self._inside:
            text = self._inside.sub(lambda found: masked(found[0]), text)
        return EMAIL.sub(lambda found: found[0] if MASK in found[0] else masked(found[0]), text)

    def json(self, value: Any) -> Any:
        """The same value with masked texts and numbers; names go by their keys."""
        if self.is_off:
            return value
        if isinstance(value, dict):
            return {self.text(key): self._of_key(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.json(item) for item in value]
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self._values:
            return MASK
        return value

    def body(self, body: bytes) -> Any:
        """A request's body: parsed and masked where it is JSON, else text."""
        text = body.decode(errors="replace")
        try:
            return self.json(json.loads(text))
        except ValueError:
            return self.text(text)

    def _of_key(self, key: str, value: Any) -> Any:
        is_name = isinstance(value, str) and re.sub(r"[^a-z]", "", key.lower()) in NAME_KEYS
        return masked(value) if is_name else self.json(value)


def masked(value: str) -> str:
    """Enough to tell two apart at a glance, too little to reach anybody."""
    if "@" in value:
        local, _, domain = value.partition("@")
        return f"{local[:1]}{MASK}@{domain[:1]}{MASK}"
    return f"{value[:1]}{MASK}" if len(value) >= SHORT else MASK
