"""Hostile histories: a few hundred users with ids of their own, packed into micro-batches.

A *family* is what is judged and shrunk alone: one or two users and their devices, whose ids all begin with the
family's name. Each plays one scene (scenes.py) that sits on the edge of a rule, and then suffers what clients,
networks and brokers do: copies, lateness, wrong clocks, reused ids, rubbish on the wire.

Everything is drawn from a `random.Random`, so that a pack comes from a seed, and one family from Hypothesis's own
`randoms()`, which shrinks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.replay.reading import DAY, HOUR, MINUTE, SECOND, to_time
from tests.replay.scenes import SCENES, Act

RUBBISH = (
    "{not json",
    "[1, 2]",
    '"text"',
    '{"type":"track","event":"Product Viewed","userId":"%s-u","timestamp":"2024-03-01T00:00:00Z"}',
    '{"type":"track","event":"Product Viewed","messageId":"%s-q1","timestamp":"2024-03-01T00:00:00Z"}',
    '{"type":"track","event":"Signed In","messageId":"%s-q2","userId":"null","anonymousId":" ",'
    '"timestamp":"2024-03-01"}',
    '{"type":"track","event":"Signed In","messageId":"%s-q3","userId":"anon:%s-d","timestamp":"2024-03-01"}',
    '{"type":"track","event":" - ","messageId":"%s-q4","userId":"%s-u","timestamp":"2024-03-01T00:00:00Z"}',
    '{"type":"track","messageId":"%s-q5","userId":"%s-u","timestamp":"2024-03-01T00:00:00Z"}',
    '{"type":"track","event":"Signed In","messageId":"%s-q6","userId":"%s-u","timestamp":"yesterday"}',
)


@dataclass(frozen=True)
class Shape:
    """What kind of history: how it spreads over batches, and how much goes wrong."""

    batches: int = 20
    families: int = 240
    lateness: float = 0.12
    """Share of events that come in a random later batch, weeks late."""
    is_shuffled: bool = False
    """Whether batches know nothing of time: every event in any batch."""
    empty: tuple[int, ...] = (4, 11)
    """Batches, counted from 1, that bring nothing."""
    copies: float = 0.08
    skew: float = 0.15
    unreceived: float = 0.1
    """Share of families whose collector stamps no receivedAt."""
    rubbish: float = 0.05
    starts_at: datetime = datetime(2024, 3, 4, tzinfo=UTC)
    days: int = 12
    """The scenes begin in this many days; their consequences may run on for weeks."""
    scenes: tuple[str, ...] = (*SCENES, "identifying", "related", "checkout", "checkout", "cart", "valuable")


@dataclass(frozen=True)
class Sent:
    """One line, the batch that brings it (from 1), and whose it is."""

    batch: int
    family: str
    line: str


def to_iso(micros: int, random: Random | None = None) -> str:
    """A time as clients spell it; with a random source, in one of several ways that mean the same."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
    style = random.randrange(8) if random else 0
    if style == 1:
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f") + "789"
    if style == 2:
        return (moment + timedelta(minutes=330)).strftime("%Y-%m-%dT%H:%M:%S.%f+0530")
    if style == 3:
        return (moment - timedelta(hours=4)).strftime("%Y-%m-%dT%H:%M:%S.%f-04:00")
    if style == 4 and moment.microsecond == 0:
        return moment.strftime("%Y-%m-%dT%H:%M:%S")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def to_micros(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def make_family(name: str, random: Random, shape: Shape, scene: str | None = None) -> list[Sent]:
    """One family's lines, each with its batch."""
    scene = scene or random.choice(shape.scenes)
    origin = to_micros(shape.starts_at) + random.randrange(shape.days) * DAY
    acts = SCENES[scene](random, name, origin)
    is_received = random.random() >= shape.unreceived
    sent: list[Sent] = []
    for number, act in enumerate(acts):
        message_id = _message_id(name, number, acts, random)
        batch = _batch(act, random, shape)
        message = to_message(act, message_id, random, shape.skew, is_received)
        sent.append(Sent(batch, name, json.dumps(message, ensure_ascii=random.random() < 0.5)))
        for _ in range(random.choice((1, 1, 2)) if random.random() < shape.copies else 0):
            sent.append(Sent(_other_batch(batch, random, shape), name, _copy(message, random)))
    if random.random() < shape.rubbish * 4:
        line = random.choice(RUBBISH).replace("%s", name)
        sent.append(Sent(_other_batch(1, random, shape), name, line))
    return sent


def _message_id(name: str, number: int, acts: Sequence[Act], random: Random) -> str:
    """Mostly the message's own; now and then one that another message of the family, or of all families, uses too."""
    if random.random() < 0.06:
        return random.choice(("m-1", "0", f"{name}-{random.randrange(len(acts))}"))
    return f"{name}-{number}"


def _batch(act: Act, random: Random, shape: Shape) -> int:
    full = [number for number in range(1, shape.batches + 1) if number not in shape.empty]
    if shape.is_shuffled:
        return random.choice(full)
    span = (shape.days + 14) * DAY
    due = (act.at - to_micros(shape.starts_at)) * shape.batches // span + 1
    if act.is_last:
        return full[-1 - random.randrange(3)]
    if random.random() < shape.lateness:
        due = random.randrange(due, shape.batches + 1) if due < shape.batches else due
    return min(full, key=lambda number: (abs(number - due), number))


def _other_batch(batch: int, random: Random, shape: Shape) -> int:
    """Mostly the same or a later one, sometimes the copy overtakes."""
    full = [number for number in range(1, shape.batches + 1) if number not in shape.empty]
    return batch if random.random() < 0.3 else random.choice(full)


def to_message(act: Act, message_id: str, random: Random, skew: float, is_received: bool) -> dict[str, Any]:
    """The event on the wire; its occurred_at is `act.at`, however wrong the device's clock."""
    message: dict[str, Any] = {"messageId": message_id, **act.names(random)}
    if act.user is not None:
        message["userId"] = act.user
    if act.device is not None:
        message["anonymousId"] = act.device
    delay = random.choice((0, 1, 40_000, 2 * SECOND, HOUR))
    if is_received and random.random() < skew:
        wrong = act.at + random.choice((-3 * DAY, -17 * SECOND, 1, 4 * MINUTE, 2 * DAY))
        client = "originalTimestamp" if random.random() < 0.7 else "timestamp"
        message[client] = to_iso(wrong, random)
        message["sentAt"] = to_iso(wrong + delay, random)
        message["receivedAt"] = to_iso(act.at + delay, random)
        return message
    if is_received and random.random() < 0.02:
        message["timestamp"] = to_iso(act.at + 5 * MINUTE + random.choice((-1, 0, 1, 400 * DAY)), random)
        message["receivedAt"] = to_iso(act.at, random)
        return message
    message[random.choice(("timestamp", "timestamp", "timestamp", "originalTimestamp"))] = to_iso(act.at, random)
    if is_received and random.random() < 0.9:
        message["receivedAt"] = to_iso(act.at + delay, random)
    elif is_received and random.random() < 0.3:
        message["receivedAt"] = "soon"
    return message


def _copy(message: dict[str, Any], random: Random) -> str:
    """The same message once more: as it was, received earlier or later, or with other contents."""
    again = json.loads(json.dumps(message))
    way = random.randrange(5)
    if way == 1 and "receivedAt" in again:
        del again["receivedAt"]
    elif way >= 2 and "timestamp" in again and not again.get("receivedAt"):
        again["context"] = {"library": {"name": random.choice("az")}}
    elif way >= 2 and again.get("receivedAt"):
        again["receivedAt"] = _shifted(again["receivedAt"], random.choice((-HOUR, -20 * MINUTE, -1, 0, 1, 20 * MINUTE)))
    if random.random() < 0.4 and isinstance(again.get("properties"), dict):
        again["properties"]["price"] = random.choice((0, "99.99", 250, None, "dear"))
    if random.random() < 0.4 and isinstance(again.get("traits"), dict):
        again["traits"]["email"] = random.choice(("copy@shop.example", None))
    return json.dumps(again, separators=random.choice(((",", ":"), (", ", ": "))))


def _shifted(stamp: str, micros: int) -> str:
    at = to_time(stamp)
    return stamp if at is None else to_iso(at + micros)


def make_pack(seed: int, shape: Shape) -> list[Sent]:
    """A history of many families, in the order of batches; within a batch the lines are shuffled."""
    random = Random(seed)
    sent: list[Sent] = []
    for number in range(shape.families):
        sent += make_family(f"f{number:03d}", random, shape)
    random.shuffle(sent)
    return sorted(sent, key=lambda one: one.batch)


def lines_by_batch(sent: Sequence[Sent], batches: int) -> list[list[str]]:
    """The lines of each batch, empty ones included."""
    packed: list[list[str]] = [[] for _ in range(batches)]
    for one in sent:
        packed[one.batch - 1].append(one.line)
    return packed


def only(sent: Sequence[Sent], family: str) -> list[Sent]:
    return [one for one in sent if one.family == family]


def family_of(identifier: str) -> str:
    """The family of a user or device: `anon:f012-d` and `f012-u` are of `f012`."""
    return identifier.removeprefix("anon:").split("-")[0]


LINKING = ("links", "links", "identifying", "mixed", "cart", "lapsed", "long_visit", "valuable", "related", "checkout")
SHAPES: dict[str, Shape] = {
    "in order": Shape(lateness=0.0, copies=0.03),
    "weeks late": Shape(lateness=0.35),
    "shuffled": Shape(is_shuffled=True, empty=(1, 7, 20)),
    "clock change": Shape(starts_at=datetime(2024, 3, 5, tzinfo=UTC), days=8),
    "links last": Shape(
        copies=0.15,
        scenes=LINKING,
    ),
}
"""One history of 20 batches each; seeds choose among infinitely many."""


def small(shape: Shape, batches: int = 4) -> Shape:
    """The same kind of history for one family alone."""
    return replace(shape, batches=batches, families=1, empty=())
