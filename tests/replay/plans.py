"""What happens between the loads of a history: whole builds, half-built graphs, other seeds.

Steps stand among the lines of a batch and come after them, so that shrinking leaves out both alike and a reproduction
names its dbt commands in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.replay.streams import Sent

STEP = "-- "
BUILD = f"{STEP}build"
SEEDS = f"{STEP}seeds "
RUN = f"{STEP}run "
# A build without one of these is not finished, whatever else it built.
STATE = ("int_batch__affected_users", "int_identity_log", "int_visits", "int_daily_traits", "trigger_matches")


@dataclass(frozen=True)
class Plan:
    """How often what happens after a batch."""

    whole: float = 0.8
    """Share of batches after which everything is built; the last one always is."""
    halves: float = 0.0
    """Share of batches after which builds stop half-way, up to three of them."""
    seeds: tuple[int, ...] = ()
    """Which of the projects is used from which batch on: (batch, project, batch, project, …)."""


def draw_steps(random: Random, plan: Plan, batches: int, models: Sequence[str]) -> list[Sent]:
    """Steps for every batch; `models`: the names of all."""
    steps: list[Sent] = []
    changes = dict(zip(plan.seeds[::2], plan.seeds[1::2], strict=True))
    for batch in range(1, batches + 1):
        if batch in changes:
            steps.append(Sent(batch, "", f"{SEEDS}{changes[batch]}"))
        if random.random() < plan.halves:
            steps += [Sent(batch, "", half_a_build(random, models)) for _ in range(random.choice((1, 1, 2, 3)))]
        if random.random() < plan.whole or batch == batches:
            steps.append(Sent(batch, "", BUILD))
    return steps


def half_a_build(random: Random, models: Sequence[str]) -> str:
    """A dbt command that leaves some part of the graph new and the rest as it was."""
    refresh = random.choice(("", "", "", "", "--full-refresh "))
    if random.random() < 0.7:
        # What a build leaves that stops: some models, and all that they need.
        chosen = [f"+{model}" for model in random.sample(models, random.randint(1, 4))]
        missing = random.choice(STATE)
        return f"{RUN}{refresh}--select {' '.join(chosen)} --exclude {missing}+"
    share = random.choice((0.3, 0.6, 0.9))
    chosen = [model for model in models if random.random() < share and model != "trigger_matches"]
    return f"{RUN}{refresh}--select {' '.join(chosen or models[:1])}"


def is_step(one: Sent) -> bool:
    return one.line.startswith(STEP)


def with_steps(sent: Sequence[Sent], steps: Sequence[Sent]) -> list[Sent]:
    """One sequence by batch, each batch's lines before its steps."""
    return sorted([*sent, *steps], key=lambda one: (one.batch, is_step(one)))


def only_family(sent: Sequence[Sent], family: str) -> list[Sent]:
    return [one for one in sent if is_step(one) or one.family == family]
