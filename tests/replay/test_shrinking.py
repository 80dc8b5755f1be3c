"""A failure nobody can read is half a failure: it must come down to the lines that make it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.replay.evaluator import evaluate
from tests.replay.shrinking import describe, shrink
from tests.replay.streams import SHAPES, Sent, family_of, lines_by_batch, make_pack, only
from tests.replay.test_streams import LOADED, RULES


def differs(sent: Sequence[Sent]) -> set[str]:
    """The families that a pipeline would get wrong if its visits broke a microsecond too early."""
    batches = [(lines, LOADED) for lines in lines_by_batch(sent, max(one.batch for one in sent))]
    right, wrong = evaluate(batches, RULES), evaluate(batches, replace(RULES, visit_gap=RULES.visit_gap - 1))
    return {family_of(row.user_id) for row in right.matches ^ wrong.matches}


def test_a_failing_family_is_shrunk_alone_to_the_events_that_matter() -> None:
    pack = make_pack(3, replace(SHAPES["weeks late"], families=60))
    failing = sorted(differs(pack))
    assert failing
    found = shrink(only(pack, failing[0]), lambda sent: bool(differs(sent)), seconds=20)
    assert {one.batch for one in found} == {1}
    assert 2 <= len(found) <= 5, describe(found)
    assert all(not differs(found[:number] + found[number + 1 :]) for number in range(len(found)))
