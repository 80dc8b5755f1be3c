"""The sequential reference for decisions, case by case (semantics, section 6)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.replay.deciding import Decision, Policy, Terms, decide
from tests.replay.evaluator import Match, watermark
from tests.replay.reading import DAY, HOUR

NOW = 1000 * DAY
TERMS = Terms({"a": Policy(2, DAY, DAY), "b": Policy(1, DAY, DAY), "c": Policy(3, 0, DAY)}, cap=2, cap_period=DAY)


def match(trigger: str, at: int, user: str = "u", *, is_absence: bool = False, keys: tuple[str, ...] = ("k",)) -> Match:
    return Match(trigger, user, NOW + at, "default", is_absence, NOW + at, keys, Decimal(1), Decimal(1), ())


def earlier(trigger: str, at: int, decided: int, user: str = "u", decision: str = "fired") -> Decision:
    return Decision(match(trigger, at, user, keys=(f"of {user}",)), decision, None, NOW + decided, 1)


def reasons(
    matches: list[Match],
    ledger: list[Decision] | None = None,
    terms: Terms = TERMS,
    owners: dict[str, str] | None = None,
    watermark_at: int | None = NOW,
) -> list[tuple[str, int, str | None]]:
    known = {"k": "u", **{f"of {row.match.user_id}": row.match.user_id for row in ledger or []}, **(owners or {})}
    rows = decide(2, NOW, watermark_at, matches, known, ledger or [], terms)
    return [(row.match.trigger_name, row.match.matched_at - NOW, row.reason) for row in rows]


def test_a_match_is_decided_once() -> None:
    assert reasons([match("a", 0)], [earlier("a", 0, -DAY)]) == []


def test_an_absence_waits_for_the_watermark_and_no_longer() -> None:
    assert reasons([match("a", 1, is_absence=True)]) == []
    assert reasons([match("a", 0, is_absence=True)]) == [("a", 0, None)]
    assert reasons([match("a", 0, is_absence=True)], watermark_at=None) == []
    assert reasons([match("a", 1)], watermark_at=None) == [("a", 1, None)]


def test_the_first_reason_that_holds_is_given() -> None:
    old = [match("a", -2 * DAY, "anon:d")]
    assert reasons(old, terms=replace(TERMS, no_consent={"anon:d"})) == [("a", -2 * DAY, "anonymous")]
    assert reasons([match("a", -2 * DAY)], terms=replace(TERMS, no_consent={"u"})) == [("a", -2 * DAY, "no_consent")]
    assert reasons([match("a", -DAY - 1)], [earlier("a", -DAY, -HOUR)]) == [("a", -DAY - 1, "stale")]
    assert reasons([match("a", -DAY)]) == [("a", -DAY, None)]


@pytest.mark.parametrize(
    ("matched", "decided", "reason"),
    [
        (-DAY, -DAY, None),
        (DAY, -DAY, None),
        (-DAY + 1, -2 * DAY, "cooldown"),
        (DAY - 1, -2 * DAY, "cooldown"),
        (-5 * DAY, -DAY + 1, "cooldown"),
    ],
)
def test_the_cooldown_looks_both_ways_at_both_times(matched: int, decided: int, reason: str | None) -> None:
    assert reasons([match("a", 0)], [earlier("a", matched, decided)]) == [("a", 0, reason)]


def test_only_firings_of_the_same_trigger_and_user_cool_down() -> None:
    for ledger in ([earlier("b", 0, -1)], [earlier("a", 0, -1, "v")], [earlier("a", 1, -1, decision="suppressed")]):
        assert reasons([match("a", 0)], ledger) == [("a", 0, None)]


def test_a_firing_counts_for_whoever_now_owns_its_evidence() -> None:
    ledger = [earlier("a", -HOUR, -HOUR, "v")]
    assert reasons([match("a", 0)], ledger, owners={"of v": "u"}) == [("a", 0, "cooldown")]
    assert reasons([match("a", 0, "v")], ledger, owners={"of v": "u"}) == [("a", 0, "cooldown")]


def test_a_batch_fires_a_trigger_once_unless_it_has_no_cooldown() -> None:
    assert reasons([match("a", 0), match("a", -DAY)]) == [("a", -DAY, None), ("a", 0, "cooldown")]
    assert reasons([match("c", 0), match("c", -1)]) == [("c", -1, None), ("c", 0, None)]


def test_the_cap_counts_this_batch_in_the_order_of_time_priority_name() -> None:
    rows = reasons([match("c", -1), match("a", 0), match("b", 0)])
    assert rows == [("c", -1, None), ("b", 0, None), ("a", 0, "frequency_cap")]


def test_the_cap_includes_both_ends_of_its_period() -> None:
    assert reasons([match("b", 0)], [earlier("a", 0, -DAY), earlier("c", 0, -DAY)]) == [("b", 0, "frequency_cap")]
    assert reasons([match("b", 0)], [earlier("a", 0, -DAY - 1), earlier("c", 0, -DAY)]) == [("b", 0, None)]


def test_the_watermark_is_that_of_the_least_advanced_source() -> None:
    assert watermark({"web": NOW, "app": NOW - HOUR, "never": None}, 300) == NOW - HOUR - 300
    assert watermark({"never": None}, 300) is None
