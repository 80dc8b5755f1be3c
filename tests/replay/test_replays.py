"""Whole histories through the real loader and the real models: exact after every build, however they came.

Each history is a few hundred families with ids of their own in 20 batches, so that one build judges all of them; the
evaluator judges every user. A family that comes out wrong is played alone, made small, and printed with its builds.
TRIPLINE_REPLAY_EXAMPLES asks for more histories of each kind (1), TRIPLINE_REPLAY_SHRINK_SECONDS for more patience.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.replay.comparing import Difference, report
from tests.replay.plans import BUILD, Plan, draw_steps, only_family, with_steps
from tests.replay.replaying import Replay, play
from tests.replay.seeding import Seeded, make_seeded
from tests.replay.shrinking import describe, shrink
from tests.replay.streams import SHAPES, Sent, make_pack

EXAMPLES = int(os.environ.get("TRIPLINE_REPLAY_EXAMPLES", "1"))
SHRINK_SECONDS = float(os.environ.get("TRIPLINE_REPLAY_SHRINK_SECONDS", "90"))


@dataclass(frozen=True)
class Kind:
    """A kind of history: what goes wrong with the events (streams.SHAPES), and what with the builds."""

    shape: str
    plan: Plan
    seeds: tuple[str, ...] = ("shipped",)

    @property
    def is_deciding(self) -> bool:
        return self.plan.halves == 0


KINDS = {
    "in order, all built": Kind("in order", Plan(whole=0.6), ("patient",)),
    "weeks late, builds that stop": Kind("weeks late", Plan(whole=0.5, halves=0.4)),
    "shuffled, builds that stop": Kind("shuffled", Plan(whole=0.5, halves=0.4)),
    "links last, builds that stop": Kind("links last", Plan(whole=0.5, halves=0.4)),
    "a clock change, seeds that change": Kind(
        "clock change",
        Plan(whole=0.6, seeds=(5, 1, 8, 2, 10, 6, 12, 3, 14, 4, 18, 5)),
        ("shipped", "New York", "short waits", "late watermark", "passive views", "wide windows", "more traits"),
    ),
}


@pytest.mark.parametrize("name", KINDS)
@settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 1,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(seed=st.integers(0, 2**32))
def test_after_any_history_every_row_is_what_the_page_and_a_full_refresh_say(name: str, seed: int) -> None:
    kind = KINDS[name]
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), kind)
        models = stage.seeded[0].project.models()
        steps = draw_steps(Random(seed), kind.plan, SHAPES[kind.shape].batches, models)
        history = with_steps(make_pack(seed, SHAPES[kind.shape]), steps)
        replay = stage.replay()
        found = play(replay, history)
        assert not found, explain(stage, history, found)
        assert len(replay.evaluator.events_by_user()) > SHAPES[kind.shape].families


@dataclass
class Stage:
    """Where the histories of one kind are played: the projects parsed once, a new warehouse for each."""

    folder: Path
    kind: Kind
    plays: int = 0
    failure: list[Difference] = field(default_factory=list)
    """Of the last history that failed."""

    def __post_init__(self) -> None:
        self.seeded: list[Seeded] = [make_seeded(self.folder / "projects", name) for name in self.kind.seeds]

    def replay(self) -> Replay:
        self.plays += 1
        home = self.folder / f"home-{self.plays}"
        home.mkdir()
        return Replay(home, self.seeded, self.kind.is_deciding)

    def fails(self, history: Sequence[Sent]) -> bool:
        found = play(self.replay(), history, is_thorough=False)
        self.failure = found or self.failure
        return bool(found)


def explain(stage: Stage, history: list[Sent], found: list[Difference], seconds: float = SHRINK_SECONDS) -> str:
    """The smallest history of one of the families that went wrong, with the commands between its batches."""
    alone, family = min(((only_family(history, name), name) for name in {one.family for one in found}), key=_size)
    if not family:
        return report(found)
    if not stage.fails(alone):
        return f"{report(found)}\n{family} alone comes out right:\n{describe(alone)}"
    smallest = shrink(alone, stage.fails, seconds)
    return (
        f"{report(found)}\n\n{family} alone, seeds {stage.kind.seeds}:\n{describe(smallest)}\n{report(stage.failure)}"
    )


def _size(candidate: tuple[list[Sent], str]) -> tuple[bool, int, str]:
    """Families first, the one with the fewest lines among them."""
    alone, family = candidate
    return (not family, len(alone), family)


def test_a_pipeline_that_is_nearly_right_is_caught_and_shown_by_one_family(tmp_path: Path) -> None:
    """The swap that deletes only keys that come back, as dbt's own does, keeps matches that are gone."""
    stage = Stage(tmp_path, Kind("weeks late", Plan()))
    swap = stage.seeded[0].project.path / "macros" / "batch" / "get_incremental_swap_sql.sql"
    right = "where target.user_id = affected.user_id and"
    assert right in swap.read_text()
    # The copy is not parsed yet.
    swap.write_text(swap.read_text().replace(right, "where target.user_id is null and"))
    shape = replace(SHAPES["weeks late"], families=40, batches=3, empty=())
    history = with_steps(make_pack(1, shape), [Sent(batch, "", BUILD) for batch in (1, 2, 3)])
    found = play(stage.replay(), history)
    assert {one.table for one in found} >= {"int_visits", "trigger_matches"}
    reproduction = explain(stage, history, found, seconds=0).partition(" alone, seeds ")[2].splitlines()
    assert {"-- batch 1", BUILD} <= set(reproduction)
    assert sum("messageId" in line for line in reproduction) < len(history) / 10
