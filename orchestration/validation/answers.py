"""What a request to evaluate says, and what is answered."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from orchestration.collector.items import UNREADABLE
from orchestration.validation.evaluations import Answer, Asked
from orchestration.validation.evaluator import Evaluation, Row
from orchestration.validation.recent import ANONYMOUS, read_event

MOST_EVENTS = 10_000
TOLD_REFUSALS = 100
EVENT_FIELDS = ("event_key", "event_id", "event_name", "occurred_at")


class WrongRequest(ValueError):
    """What is wrong with it, for whoever sent it."""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    events: list[msgspec.Raw] | None = None
    user_id: str | None = msgspec.field(name="userId", default=None)
    anonymous_id: str | None = msgspec.field(name="anonymousId", default=None)
    at: datetime | None = None
    ask_for_batch: bool = msgspec.field(name="askForBatch", default=False)


@dataclass(frozen=True)
class Question:
    """Either the events themselves, one a line, or whose held ones. `at` is UTC without zone."""

    lines: list[bytes] | None
    identity: str | None
    at: datetime | None
    asks_for_batch: bool


def read_question(body: bytes) -> Question:
    """Raises WrongRequest."""
    try:
        asked = msgspec.json.decode(body, type=_Body)
    except UNREADABLE as error:
        raise WrongRequest(str(error)) from None
    identity = asked.user_id or (ANONYMOUS + asked.anonymous_id if asked.anonymous_id else None)
    if (asked.events is None) == (identity is None):
        raise WrongRequest("either `events`, or the `userId` or `anonymousId` whose recent events are held")
    if asked.events is not None and len(asked.events) > MOST_EVENTS:
        raise WrongRequest(f"{MOST_EVENTS:,} events at most, these are {len(asked.events):,}")
    at = asked.at
    if at is not None and at.tzinfo is not None:
        at = at.astimezone(UTC).replace(tzinfo=None)
    lines = None if asked.events is None else [_line(bytes(event)) for event in asked.events]
    return Question(lines, identity, at, asked.ask_for_batch and identity is not None)


def _line(event: bytes) -> bytes:
    return msgspec.json.format(event, indent=-1) if b"\n" in event or b"\r" in event else event


def asked_of(lines: Sequence[bytes], at: datetime | None) -> Asked:
    """To be evaluated, with every id that the events name."""
    events = (read_event(line, 0.0) for line in lines)
    return Asked(lines, frozenset(identity for event in events if event for identity in event.identities), at)


def answer_json(question: Question, asked: Asked, answer: Answer, *, has_asked: bool) -> bytes:
    evaluation = answer.evaluation
    told = {
        "evaluated_at": answer.at,
        "rules": answer.version,
        "events": _events(evaluation.rows[answer.first_line - 1 :][: len(asked.lines)], answer.first_line),
        "users": [_user(user, evaluation, answer.at) for user in users_of(question, asked, evaluation)],
        "has_asked_for_batch": has_asked,
    }
    return msgspec.json.encode(_plain(told))


def _plain(value: Any) -> Any:
    """As `tripline explain --json` has them: times in UTC with a Z, exact numbers as numbers."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    return float(value) if isinstance(value, Decimal) else value


def users_of(question: Question, asked: Asked, evaluation: Evaluation) -> list[Row]:
    """Of the users that were evaluated together, those that the question is about."""
    if question.identity is None:
        return [user for user in evaluation.users if user["user_id"] in asked.identities]
    device = question.identity.removeprefix(ANONYMOUS)
    is_device = question.identity != device
    return [
        user
        for user in evaluation.users
        if user["user_id"] == question.identity or (is_device and device in user["devices"])
    ]


def is_crossed(users: Collection[Row], evaluation: Evaluation) -> bool:
    """Whether a trigger of one of them is flagged, and not by the end of a wait."""
    names = {user["user_id"] for user in users}
    return any(row["is_flagged"] and not row["is_absence"] for row in evaluation.triggers if row["user_id"] in names)


def _events(rows: Sequence[Row], first_line: int) -> dict[str, Any]:
    refused = [row for row in rows if row["reason"]]
    return {
        "read": len(rows),
        "used": sum(row["is_duplicate"] is False for row in rows),
        "duplicate": sum(row["is_duplicate"] is True for row in rows),
        "refused": [
            {"index": row["line_number"] - first_line, "reason": row["reason"]} for row in refused[:TOLD_REFUSALS]
        ],
        "refused_count": len(refused),
    }


def _user(user: Row, evaluation: Evaluation, at: datetime) -> dict[str, Any]:
    rows = [row for row in evaluation.triggers if row["user_id"] == user["user_id"]]
    return {**user, "triggers": [_trigger(row, evaluation, at) for row in rows]}


def _trigger(row: Row, evaluation: Evaluation, at: datetime) -> dict[str, Any]:
    """`margin`: how much is missing, in the threshold's unit, 0 where nothing is; of a wait the seconds until it is
    over; null where nothing of the kind was done."""
    observed, threshold = row["observed_value"], row["threshold_value"]
    margin: Decimal | float | None = None
    if row["is_flagged"]:
        margin = Decimal(0)
    elif row["due_at"] is not None:
        margin = (row["due_at"] - at).total_seconds()
    elif measured := evaluation.measured.get((row["trigger_name"], row["user_id"])):
        observed, threshold = measured
        margin = max(threshold - observed, Decimal(0))
    return {
        "trigger_name": row["trigger_name"],
        "is_enabled": row["is_enabled"],
        "is_flagged": row["is_flagged"],
        "flagged_since": row["flagged_since"],
        "observed_value": observed,
        "threshold_value": threshold,
        "margin": margin,
        "due_at": row["due_at"],
        "window_started_at": row["window_started_at"],
        "evidence": [
            {name: evaluation.events[key][name] for name in EVENT_FIELDS} for key in row["event_keys"]
        ],
    }
