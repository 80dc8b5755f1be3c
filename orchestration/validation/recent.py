"""The recent events of each user, for a look before the warehouse has them.

A cache and nothing more: what it lost, invents or cannot tell changes no event, no match and no decision. An event is
kept under every id that it names, so that a device leads to the user it belongs to.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any, Protocol

import msgspec

from orchestration.collector.items import UNREADABLE, id_of, text_of

EVENTS_OF_A_USER = 5_000  # the latest; more are a robot's
ANONYMOUS = "anon:"


class RecentEventsDown(Exception):
    """The store did not answer in time, or its circuit breaker is open."""


@dataclass(frozen=True)
class RecentEvent:
    """`copy_id` is the same for what semantics, section 1, calls copies; `received_at` in seconds since 1970."""

    identities: tuple[str, ...]
    copy_id: str
    received_at: float
    line: bytes


class RecentEvents(Protocol):
    """Raises RecentEventsDown. A user's events older than `window_seconds` are forgotten, and all of whoever was silent
    for as long."""

    window_seconds: float

    def add(self, events: Sequence[RecentEvent]) -> list[RecentEvent]:
        """Returns those that were not known yet."""

    def of(self, identity: str) -> list[RecentEvent]: ...

    def close(self) -> None: ...


class _Wire(msgspec.Struct):
    message_id: Any = msgspec.field(name="messageId", default=None)
    user_id: Any = msgspec.field(name="userId", default=None)
    anonymous_id: Any = msgspec.field(name="anonymousId", default=None)
    original_timestamp: Any = msgspec.field(name="originalTimestamp", default=None)
    timestamp: Any = None


_decoder = msgspec.json.Decoder(_Wire)


def read_event(line: bytes, received_at: float) -> RecentEvent | None:
    """None for a line that belongs to nobody."""
    try:
        wire = _decoder.decode(line)
    except UNREADABLE:
        return None
    user, device = id_of(wire.user_id), id_of(wire.anonymous_id)
    identities = tuple(([user] if user else []) + ([ANONYMOUS + device] if device else []))
    if not identities:
        return None
    parts = (text_of(wire.message_id), user, device, text_of(wire.original_timestamp) or text_of(wire.timestamp))
    copy_id = md5(msgspec.json.encode(parts), usedforsecurity=False).hexdigest()
    return RecentEvent(identities, copy_id, received_at, line.rstrip(b"\r\n"))


def gather(recent: RecentEvents, identities: Iterable[str]) -> dict[str, RecentEvent]:
    """All that says something about these users and devices, by `copy_id`: their own events, and those of the devices
    and users that they share an event with. Raises RecentEventsDown."""
    found: dict[str, RecentEvent] = {}
    seen: set[str] = set()
    wanted = list(identities)
    for _ in range(3):  # a user, their devices, whose those were first
        wanted = [identity for identity in dict.fromkeys(wanted) if identity not in seen]
        seen.update(wanted)
        events = [event for identity in wanted for event in recent.of(identity)]
        found |= {event.copy_id: event for event in events}
        wanted = [identity for event in events for identity in event.identities]
    return found


class EmbeddedRecentEvents:
    """In this process's memory. Whoever was silent for longest goes first where `most_bytes` are not enough."""

    def __init__(self, window_seconds: float, most_bytes: int) -> None:
        self.window_seconds, self._most = window_seconds, most_bytes
        self._lock = threading.Lock()
        self._users: OrderedDict[str, OrderedDict[str, RecentEvent]] = OrderedDict()
        self._bytes = 0

    def add(self, events: Sequence[RecentEvent]) -> list[RecentEvent]:
        with self._lock:
            return [event for event in events if self._add(event)]

    def _add(self, event: RecentEvent) -> bool:
        is_new = False
        for identity in event.identities:
            held = self._users.setdefault(identity, OrderedDict())
            self._users.move_to_end(identity)
            if event.copy_id not in held:
                is_new = True
                held[event.copy_id] = event
                self._bytes += _size(event)
            self._trim(held)
        while self._bytes > self._most and self._users:
            _, dropped = self._users.popitem(last=False)
            self._bytes -= sum(map(_size, dropped.values()))
        return is_new

    def _trim(self, held: OrderedDict[str, RecentEvent]) -> None:
        oldest = time.time() - self.window_seconds
        while held and (len(held) > EVENTS_OF_A_USER or next(iter(held.values())).received_at < oldest):
            _, dropped = held.popitem(last=False)
            self._bytes -= _size(dropped)

    def of(self, identity: str) -> list[RecentEvent]:
        with self._lock:
            held = self._users.get(identity)
            if held is None:
                return []
            self._trim(held)
            return list(held.values())

    def close(self) -> None:
        pass


def _size(event: RecentEvent) -> int:
    return len(event.line) + 500  # what Python's objects take beside the text
