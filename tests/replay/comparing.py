"""What a warehouse holds, in the evaluator's own terms, and where the two differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.replay.deciding import Decision
from tests.replay.evaluator import CopyKey, Counts, Evaluator, Match, Truth
from tests.replay.harness import ask
from tests.replay.profiling import Profile, canonical
from tests.replay.reading import Spelled
from tests.replay.rules import Rules, first_at, local_day
from tests.replay.streams import family_of, to_iso

KEYS = """
    select distinct event_id, known_user_id, anonymous_id, epoch_us(client_time), event_key from raw.events
"""
MATCHES = """
    select
        user_id, trigger_name, epoch_us(matched_at), variant, is_absence, epoch_us(window_started_at), event_keys,
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
DECISIONS = """
    select
        user_id, trigger_name, epoch_us(matched_at), variant, is_absence, epoch_us(window_started_at), event_keys,
        observed_value, threshold_value, linked_anonymous_ids, decision, reason, epoch_us(decided_at), batch_id
    from triggers.trigger_decisions order by rowid
"""
HAS_LEDGER = "select 1 from information_schema.tables where table_name = 'trigger_decisions'"
VISITS = """
    select
        user_id, epoch_us(visit_started_at), epoch_us(visit_ended_at), local_day, events, first_event_key,
        last_event_key, last_event_linked_anonymous_id
    from behavior.int_visits
"""
CONSENTS = "select user_id, said_at, is_granted from behavior.int_consents"
BEHAVIOR = "from behavior.int_user_behavior"
PROFILES = """
    select user_id, email, phone, external_ids, address_kinds, traits, epoch_us(updated_at)
    from triggers.user_profiles
"""
TRAITS = "select user_id, utc_day, trait_name, trait_value, said_at from behavior.int_daily_traits"
OUTBOX = "select decision_id, destination from triggers.campaign_outbox"
TO_BE_TOLD = """
    select firings.decision_id, campaigns.destination
    from triggers.trigger_firings as firings
    inner join config.campaigns as campaigns on firings.campaign = campaigns.campaign
"""
HELD_TABLES = {
    "trigger_matches": MATCHES,
    "int_visits": VISITS,
    "int_consents": CONSENTS,
    "int_user_behavior": BEHAVIOR,
    "int_daily_traits": TRAITS,
    "user_profiles": PROFILES,
}
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
    return [_match(row) for row in ask(warehouse, MATCHES)]


def read_decisions(warehouse: Path) -> list[Decision]:
    """triggers.trigger_decisions as the reference would write it, in the order of writing."""
    if not ask(warehouse, HAS_LEDGER):
        return []
    return [Decision(_match(row[:10]), *row[10:]) for row in ask(warehouse, DECISIONS)]


def _match(row: tuple[Any, ...]) -> Match:
    user, name, at, variant, absence, start, keys, observed, threshold, devices = row
    return Match(name, user, at, variant, absence, start, tuple(keys), observed, threshold, tuple(devices))


def compare_undecided(warehouse: Path, truth: Truth, watermark_at: int | None) -> list[Difference]:
    """A match that is due must have been decided, whatever builds stopped before."""
    decided = {row.match.key for row in read_decisions(warehouse)}
    due = [one for one in truth.matches if not one.is_absence or (watermark_at or 0) >= one.matched_at]
    return [
        Difference(family_of(one.user_id), "trigger_decisions", "the evaluator", repr(one.key))
        for one in due
        if one.key not in decided
    ]


def compare_decisions(warehouse: Path, ledger: Collection[Decision]) -> list[Difference]:
    return _both_ways("trigger_decisions", read_decisions(warehouse), ledger, lambda row: family_of(row.match.user_id))


def compare_matches(warehouse: Path, truth: Truth) -> list[Difference]:
    held, mine = Counter(read_matches(warehouse)), Counter(truth.matches)
    return [
        Difference(family_of(row.user_id), "trigger_matches", side, f"{to_iso(row.matched_at)} {row}")
        for side, rows in (("the warehouse", held - mine), ("the evaluator", mine - held))
        for row in rows
    ]


def compare_events(warehouse: Path, evaluator: Evaluator) -> list[Difference]:
    """stg_events: the copy that counts of each message, and what was read from it."""
    rows = ask(warehouse, EVENTS)
    known = {}
    for copy_key, one in evaluator.winners.items():
        fields = (one.name, one.occurred_at, one.received_at, one.page_url, one.product_id, one.category)
        row = (evaluator.key_of(copy_key), *fields, one.price, one.quantity)
        known[row] = family_of(one.known_user_id or one.anonymous_id or "")
    families = {key[0]: family for key, family in known.items()}
    return _both_ways("stg_events", rows, list(known), lambda row: families.get(row[0], ""))


def compare_quarantine(warehouse: Path, evaluator: Evaluator) -> list[Difference]:
    theirs = ask(warehouse, QUARANTINED)
    mine = [(one.batch_id, one.text, one.reason) for one in evaluator.refused]
    return _both_ways("quarantined_events", theirs, mine, lambda row: "")


def compare_counts(warehouse: Path, counts: Mapping[int, Counts], clocks: Mapping[int, int]) -> list[Difference]:
    """raw.load_batches: read = loaded + duplicate + quarantined, and the time up to which the source is complete."""
    mine: list[tuple[Any, ...]] = []
    complete: int | None = None
    for batch, one in sorted(counts.items()):
        assert one.read == one.loaded + one.duplicate + one.quarantined
        complete = max((at for at in (complete, one.complete_through) if at is not None), default=None)
        row = (one.read, one.loaded, one.duplicate, one.quarantined, one.superseded, complete, clocks[batch])
        mine.append((batch, *row))
    return _both_ways("load_batches", ask(warehouse, COUNTS), mine, lambda row: "")


def compare_visits(warehouse: Path, truth: Truth, rules: Rules) -> list[Difference]:
    mine = []
    for user, visits in truth.visits.items():
        for visit in visits:
            last = first_at(visit.events, visit.end)
            device = last.event.anonymous_id if last.is_linked else None
            day = local_day(visit.start, rules.reporting_timezone)
            mine.append((user, visit.start, visit.end, day, len(visit.events), visit.first_key, last.key, device))
    return _both_ways("int_visits", ask(warehouse, VISITS), mine, lambda row: family_of(row[0]))


def compare_profiles(warehouse: Path, evaluator: Evaluator, kinds: Mapping[str, str]) -> list[Difference]:
    """triggers.user_profiles: the latest word on every trait, and the addresses in them."""
    theirs = [
        Profile(user, email, phone, _same_json(ids), tuple(held), _same_json(traits), at)
        for user, email, phone, ids, held, traits, at in ask(warehouse, PROFILES)
    ]
    return _both_ways("user_profiles", theirs, evaluator.profiles(kinds), lambda row: family_of(row.user_id))


def _same_json(text: str) -> str:
    return canonical(json.loads(text, parse_int=Spelled, parse_float=Spelled))


def compare_outbox(warehouse: Path) -> list[Difference]:
    """Where nothing was sent, every firing waits, for each destination once."""
    return _both_ways("campaign_outbox", ask(warehouse, OUTBOX), ask(warehouse, TO_BE_TOLD), lambda row: "")


def compare_tables(warehouse: Path, anew: Path) -> list[Difference]:
    """What a full refresh would have made of the same events."""
    found: list[Difference] = []
    for table, query in HELD_TABLES.items():
        theirs, mine = ([_hashable(row) for row in ask(place, query)] for place in (warehouse, anew))
        differences = _both_ways(table, theirs, mine, lambda row: family_of(str(row[0])))
        found += [replace(one, side=one.side.replace("evaluator", "full refresh")) for one in differences]
    return found


def _hashable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)


def _both_ways(table: str, theirs: Iterable[Any], mine: Iterable[Any], family: Any) -> list[Difference]:
    """Rows are counted, so that one that stands there twice shows."""
    held, wanted = Counter(theirs), Counter(mine)
    return [
        Difference(family(row), table, side, repr(row))
        for side, rows in (("the warehouse", held - wanted), ("the evaluator", wanted - held))
        for row in rows
    ]


def report(differences: Iterable[Difference], most: int = 12) -> str:
    """The first few, by family."""
    ordered = sorted(differences)
    families = sorted({one.family for one in ordered})
    lines = [f"{len(ordered)} differences in {len(families)} families: {', '.join(families[:20])}"]
    return "\n".join([*lines, *(str(one) for one in ordered[:most])])
