"""Whether the hostile histories are hostile enough to tell a right pipeline from a nearly right one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from functools import cache
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.replay.evaluator import Evaluator, Match, Truth, evaluate
from tests.replay.reading import DAY
from tests.replay.rules import TRIGGERS, Rules
from tests.replay.streams import SHAPES, Sent, family_of, lines_by_batch, make_family, make_pack, small, to_micros

RULES = Rules(engaged_products=frozenset({"x1", "x2"}))
LOADED = to_micros(SHAPES["in order"].starts_at) + 400 * DAY


@cache
def pack(shape: str) -> tuple[Sent, ...]:
    return tuple(make_pack(7, SHAPES[shape]))


def judge(sent: tuple[Sent, ...], batches: int, rules: Rules) -> Truth:
    return evaluate([(lines, LOADED) for lines in lines_by_batch(sent, batches)], rules)


@cache
def truth(shape: str) -> Truth:
    return judge(pack(shape), SHAPES[shape].batches, RULES)


NEARLY_RIGHT: dict[str, dict[str, Any]] = {
    f"{number} {step:+}": {number: getattr(RULES, number) + step}
    for number in ("dwell", "related_window", "cart_wait", "checkout_sequence", "checkout_wait", "engaged_after",
                   "cart_window", "lapsed_wait", "visit_gap", "related_products", "visits_a_day", "sign_ins_a_day")
    for step in (-1, 1)
} | {
    "a ten-thousandth more in the cart": {"cart_value": Decimal("200.0001")},
    "a ten-thousandth less in the cart": {"cart_value": Decimal("199.9999")},
    "the zone": {"reporting_timezone": "America/New_York"},
    "passive events are active": {"passive_events": frozenset()},
    "the future lands later": {"future_lands_at": 300_000_000},
}  # fmt: skip


@pytest.mark.parametrize("mistake", NEARLY_RIGHT)
def test_every_history_shows_a_number_that_is_off_by_the_least(mistake: str) -> None:
    """Keys, times and evidence only: the threshold that each row carries would give the mistake away."""
    wrong = replace(RULES, **NEARLY_RIGHT[mistake])
    rows = [
        {(*match.key, match.event_keys) for match in judged.matches}
        for judged in (truth("weeks late"), judge(pack("weeks late"), 20, wrong))
    ]
    waits = {"cart_wait": "cart_abandoned", "checkout_wait": "checkout_abandoned", "lapsed_wait": "lapsed_user"}
    trigger = waits.get(mistake.split()[0])
    if trigger:
        rows = [{(name, user, 0, keys) for name, user, _, keys in side if name == trigger} for side in rows]
    assert rows[0] != rows[1]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_history_fires_every_trigger_for_most_of_its_families(shape: str) -> None:
    found = Counter(match.trigger_name for match in truth(shape).matches)
    assert min(found[trigger] for trigger in TRIGGERS) >= 5, found
    families = {family_of(match.user_id) for match in truth(shape).matches}
    assert len(families) > 0.9 * SHAPES[shape].families
    assert any(match.linked_anonymous_ids for match in truth(shape).matches)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_true_goes_away_again_and_again_while_a_history_is_loaded(shape: str) -> None:
    evaluator, gone = Evaluator(RULES), 0
    held: set[Match] = set()
    for batch, lines in enumerate(lines_by_batch(pack(shape), SHAPES[shape].batches), start=1):
        evaluator.load(batch, lines, LOADED)
        now = evaluator.truth().matches
        gone += len(held - now)
        held = now
    assert held == truth(shape).matches
    assert gone > 100


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(SHAPES)), st.integers(0, 2**32))
def test_the_truth_does_not_depend_on_how_a_history_was_loaded(random: Random, shape: str, order: int) -> None:
    sent = make_family("f000", random, small(SHAPES[shape]))
    shuffled = list(sent)
    Random(order).shuffle(shuffled)
    at_once = evaluate([([one.line for one in shuffled], LOADED)], RULES)
    in_batches = judge(tuple(sent), 4, RULES)
    assert at_once.matches == in_batches.matches
    assert at_once.visits.keys() == in_batches.visits.keys()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(SHAPES)))
def test_no_match_depends_on_an_event_later_than_itself(random: Random, shape: str) -> None:
    """Every rule is causal: events cut off after an instant leave every match up to it as it was, links aside."""
    sent = make_family("f000", random, small(SHAPES[shape]))
    full = Evaluator(RULES)
    full.load(1, [one.line for one in sent], LOADED)
    owners, users = full.truth(), full.events_by_user()
    for user, events in users.items():
        for cut in {one.at for one in events}:
            part = Evaluator(RULES)
            part.winners = {key: event for key, event in full.winners.items() if event.occurred_at <= cut}
            if part.events_by_user().get(user) != tuple(one for one in events if one.at <= cut):
                continue
            early = {match for match in part.truth().matches if match.user_id == user and match.matched_at <= cut}
            assert early == {one for one in owners.matches if one.user_id == user and one.matched_at <= cut}
