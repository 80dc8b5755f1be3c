"""Section 6 of the semantics, one decision after another: the reference for the ledger's window functions.

Where the page leaves room, this is what was read into it:

 1. "whoever at the start of the batch owns an event of its evidence": by the links this batch works with, those it
    brought itself included; otherwise a link would bring the same message twice.
 2. A match whose clock stands exactly max_age after it is not stale; a cap of n lets n firings through in a period,
    both ends of which are included.
 3. A trigger that is not enabled has no matches, and so nothing to decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tests.replay.evaluator import Match


@dataclass(frozen=True)
class Policy:
    """A row of seeds/triggers.csv; microseconds."""

    priority: int
    cooldown: int
    max_age: int


@dataclass(frozen=True)
class Terms:
    """What holds for all triggers; a cap of None lets everything through."""

    policies: Mapping[str, Policy]
    cap: int | None = None
    cap_period: int = 0
    no_consent: Collection[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """A row of triggers.trigger_decisions: the match is a copy of what it rests on."""

    match: Match
    decision: str
    reason: str | None
    decided_at: int
    batch_id: int


def decide(
    batch_id: int,
    decided_at: int,
    watermark_at: int | None,
    matches: Iterable[Match],
    owners: Mapping[str, str],
    ledger: Collection[Decision],
    terms: Terms,
) -> list[Decision]:
    """The rows this batch adds. `owners`: event_key -> user, by the links in force for this batch."""
    settled = {row.match.key for row in ledger}
    due = [
        match
        for match in matches
        if match.key not in settled
        and (not match.is_absence or (watermark_at is not None and watermark_at >= match.matched_at))
    ]
    due.sort(key=lambda one: (one.matched_at, terms.policies[one.trigger_name].priority, one.trigger_name, one.user_id))
    fired = firings_by_user(ledger, owners)
    made: list[Decision] = []
    for match in due:
        mine = fired.setdefault(match.user_id, [])
        reason = reason_not_to_fire(match, decided_at, mine, terms)
        row = Decision(match, "suppressed" if reason else "fired", reason, decided_at, batch_id)
        made.append(row)
        if reason is None:
            mine.append(row)
    return made


def firings_by_user(ledger: Iterable[Decision], owners: Mapping[str, str]) -> dict[str, list[Decision]]:
    """A firing counts for the user it names, and for whoever owns an event of its evidence."""
    fired: dict[str, list[Decision]] = {}
    for row in ledger:
        if row.decision == "fired":
            for user in {row.match.user_id, *(owners[key] for key in row.match.event_keys)}:
                fired.setdefault(user, []).append(row)
    return fired


def reason_not_to_fire(match: Match, decided_at: int, fired: Collection[Decision], terms: Terms) -> str | None:
    """The first reason that holds, None for a firing. `fired`: what counts for this user, this batch's included."""
    policy = terms.policies[match.trigger_name]
    same = [row for row in fired if row.match.trigger_name == match.trigger_name]
    if match.user_id.startswith("anon:"):
        return "anonymous"
    if match.user_id in terms.no_consent:
        return "no_consent"
    if decided_at - match.matched_at > policy.max_age:
        return "stale"
    for row in same:
        if abs(row.match.matched_at - match.matched_at) < policy.cooldown:
            return "cooldown"
        if abs(row.decided_at - decided_at) < policy.cooldown:
            return "cooldown"
    recent = [row for row in fired if decided_at - terms.cap_period <= row.decided_at <= decided_at]
    if terms.cap is not None and len(recent) >= terms.cap:
        return "frequency_cap"
    return None
