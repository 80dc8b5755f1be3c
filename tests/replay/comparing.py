"""What a warehouse holds, in the evaluator's own terms, and where the two differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.replay.evaluator import CopyKey, Evaluator, Match, Truth
from tests.replay.harness import ask
from tests.replay.streams import family_of, to_iso

KEYS = """
    select distinct event_id, known_user_id, anonymous_id, epoch_us(client_time), event_key from raw.events
"""
MATCHES = """
    select
        trigger_name, user_id, epoch_us(matched_at), variant, is_absence, epoch_us(window_started_at), event_keys,
        observed_value, threshold_value, linked_anonymous_ids
    from triggers.trigger_matches
"""
EVENTS = """
    select
        event_key, event_name, epoch_us(occurred_at), epoch_us(received_at), page_url, product_id, category,
        price, quantity
    from staging.stg_events
"""
COUNTS = """
    select
        batch_id, events_read, events_loaded, events_duplicate, events_quarantined, events_superseded,
        epoch_us(complete_through), epoch_us(clock_at)
    from raw.load_batches order by batch_id
"""
QUARANTINED = "select batch_id, raw_text, reason from raw.quarantined_events"


@dataclass(frozen=True, order=True)
class Difference:
    """A row that one side has and the other has not."""

    family: str
    table: str
    side: str
    row: str

    def __str__(self) -> str:
        return f"{self.table}: only {self.side} has {self.row}"


def event_keys(warehouse: Path) -> dict[CopyKey, str]:
    """The loader's event_key of each message, which is one to one."""
    keys = {(row[0], row[1], row[2], row[3]): str(row[4]) for row in ask(warehouse, KEYS)}
    assert len(set(keys.values())) == len(keys), "two messages share an event_key"
    return keys


def read_matches(warehouse: Path) -> list[Match]:
    """triggers.trigger_matches as the evaluator would write it; lists of rows, so that a double row shows."""
    return [
        Match(name, user, at, variant, absence, start, tuple(keys), observed, threshold, tuple(devices))
        for name, user, at, variant, absence, start, keys, observed, threshold, devices in ask(warehouse, MATCHES)
    ]


def compare_matches(warehouse: Path, truth: Truth) -> list[Difference]:
    held = read_matches(warehouse)
    assert len({row.key for row in held}) == len(held), "trigger_matches has two rows of one key"
    return [
        Difference(family_of(row.user_id), "trigger_matches", side, f"{to_iso(row.matched_at)} {row}")
        for side, rows in (("the warehouse", set(held) - truth.matches), ("the evaluator", truth.matches - set(held)))
        for row in rows
    ]


def compare_events(warehouse: Path, evaluator: Evaluator) -> list[Difference]:
    """stg_events: the copy that counts of each message, and what was read from it."""
    rows = ask(warehouse, EVENTS)
    assert len({row[0] for row in rows}) == len(rows), "stg_events has two rows of one event_key"
    known = {}
    for copy_key, one in evaluator.winners.items():
        fields = (one.name, one.occurred_at, one.received_at, one.page_url, one.product_id, one.category)
        row = (evaluator.key_of(copy_key), *fields, one.price, one.quantity)
        known[row] = family_of(one.known_user_id or one.anonymous_id or "")
    families = {key[0]: family for key, family in known.items()}
    return _both_ways("stg_events", set(rows), set(known), lambda row: families.get(row[0], ""))


def compare_quarantine(warehouse: Path, evaluator: Evaluator) -> list[Difference]:
    theirs = {tuple(row) for row in ask(warehouse, QUARANTINED)}
    mine = {(one.batch_id, one.text, one.reason) for one in evaluator.refused}
    return _both_ways("quarantined_events", theirs, mine, lambda row: "")


def _both_ways(table: str, theirs: set[Any], mine: set[Any], family: Any) -> list[Difference]:
    return [
        Difference(family(row), table, side, repr(row))
        for side, rows in (("the warehouse", theirs - mine), ("the evaluator", mine - theirs))
        for row in rows
    ]


def report(differences: Iterable[Difference], most: int = 12) -> str:
    """The first few, by family."""
    ordered = sorted(differences)
    families = sorted({one.family for one in ordered})
    lines = [f"{len(ordered)} differences in {len(families)} families: {', '.join(families[:20])}"]
    return "\n".join([*lines, *(str(one) for one in ordered[:most])])
