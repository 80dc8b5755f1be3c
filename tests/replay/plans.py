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
    """Steps for every batch; `models` in an order in which dbt can build them."""
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
    ways = ("stopped", "stopped", "stopped", "chosen", "chosen", "without limits", "without tail", "full", "full chosen")
    way = random.choice(ways)
    chosen = [model for model in models if random.random() < random.choice((0.3, 0.6, 0.9))]
    if "full" in way:
        stop = models[: random.randrange(1, len(models))] if way == "full" else chosen
        return f"{RUN}--full-refresh --select {' '.join(['int_batch__limits', *stop])}"
    if way == "stopped":
        return f"{RUN}--select {' '.join(models[: random.randrange(1, len(models))])}"
    if way == "chosen":
        return f"{RUN}--select {' '.join(['int_batch__limits', *chosen])}"
    if way == "without limits":
        return f"{RUN}--select {' '.join([model for model in chosen if model != 'int_batch__limits'] or models[-1:])}"
    tail = random.sample(("trigger_matches", "int_visits", "int_identity_log", "int_batch__affected_users"), 2)
    return f"{RUN}--exclude monitoring {' '.join(tail)}"


def is_step(one: Sent) -> bool:
    return one.line.startswith(STEP)


def with_steps(sent: Sequence[Sent], steps: Sequence[Sent]) -> list[Sent]:
    """One sequence by batch, each batch's lines before its steps."""
    return sorted([*sent, *steps], key=lambda one: (one.batch, is_step(one)))


def only_family(sent: Sequence[Sent], family: str) -> list[Sent]:
    return [one for one in sent if is_step(one) or one.family == family]
