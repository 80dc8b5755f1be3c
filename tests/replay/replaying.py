"""One history through the real loader and the real dbt project, and what the evaluator says of it.

The evaluator is given each batch's clock by the loader's report, which is checked first: in a replay it is the data's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path

from orchestration.load import load_batch
from orchestration.load_report import BatchReport
from orchestration.settings import Settings
from tests.replay.comparing import (
    Difference,
    compare_counts,
    compare_decisions,
    compare_events,
    compare_matches,
    compare_outbox,
    compare_profiles,
    compare_quarantine,
    compare_tables,
    compare_undecided,
    compare_visits,
    event_keys,
    read_decisions,
)
from tests.replay.deciding import Decision, decide
from tests.replay.evaluator import Counts, Evaluator, watermark
from tests.replay.harness import ask, copy_warehouse, write_lines
from tests.replay.plans import BUILD, RUN, SEEDS, is_step
from tests.replay.seeding import Seeded
from tests.replay.streams import Sent, to_micros

# What monitoring shows rests on wall times and holds no state of its own.
WHOLE = ("--exclude", "monitoring")
FINISHED = "select build_id from batches.finished_builds order by build_id"


@dataclass
class Replay:
    """A warehouse with its landing folder, and the evaluator beside it. `seeded`: the seeds that steps may name."""

    home: Path
    seeded: Sequence[Seeded]
    is_deciding: bool = False
    """Whether the ledger is kept too; what half a build decided would have to be known for that."""
    active: int = 0
    ledger: list[Decision] = field(default_factory=list)
    evaluator: Evaluator = field(init=False)
    counts: dict[int, Counts] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    _loads: int = 0

    def __post_init__(self) -> None:
        self.evaluator = Evaluator(self.seeded[self.active].rules)
        self.settings = Settings(home=self.home, settle_seconds=0)

    @property
    def warehouse(self) -> Path:
        return self.settings.warehouse_path

    def load(self, lines: Sequence[str]) -> BatchReport:
        """One batch; without lines, a file that holds nothing but ends of lines."""
        self._loads += 1
        file = write_lines(self.settings.landing_path, f"{self._loads:03d}.jsonl", lines or [""] * self._loads)
        report = load_batch(self.warehouse, self.settings, replay=True, files=[file])
        assert report.batch_id is not None and report.clock_at is not None, report
        clock = to_micros(report.clock_at.replace(tzinfo=UTC))
        counts = self.evaluator.load(report.batch_id, lines, clock)
        assert clock == max(counts.complete_through or 0, *self.clocks.values(), 0), report
        self.counts[report.batch_id], self.clocks[report.batch_id] = counts, clock
        if self._loads == 1:
            self._seed()
        return report

    def take(self, step: str) -> None:
        """A whole build must succeed and be finished; of half a build nothing is asked but that it is not."""
        if step.startswith(SEEDS):
            self.active = int(step.removeprefix(SEEDS))
            self.evaluator.change(self.seeded[self.active].rules)
            self._seed()
            return
        finished, ledger = ask(self.warehouse, FINISHED), read_decisions(self.warehouse)
        if step == BUILD:
            self._dbt(self.warehouse, *WHOLE)
            assert len(ask(self.warehouse, FINISHED)) == len(finished) + 1, "a whole build was not finished"
            self._decide()
        else:
            self.seeded[self.active].project.dbt(self.warehouse, "run", *step.removeprefix(RUN).split())
            assert ask(self.warehouse, FINISHED) == finished, f"{step} counts as a whole build"
        assert read_decisions(self.warehouse)[: len(ledger)] == ledger, f"{step} rewrote the ledger"

    @property
    def watermark(self) -> int | None:
        complete = max((one.complete_through for one in self.counts.values() if one.complete_through), default=None)
        return watermark({"segment": complete}, self.seeded[self.active].allowed_lateness)

    def _decide(self) -> None:
        seeded = self.seeded[self.active]
        if not self.is_deciding:
            return
        self.evaluator.use_keys(event_keys(self.warehouse))
        truth, batch = self.evaluator.truth(), max(self.counts)
        self.ledger += decide(
            batch,
            self.clocks[batch],
            self.watermark,
            truth.matches,
            truth.owners,
            self.ledger,
            replace(seeded.terms, no_consent=self.evaluator.refusals(seeded.consent_category)),
        )

    def _seed(self) -> None:
        result = self.seeded[self.active].project.dbt(self.warehouse, "seed")
        assert result.success, result.exception

    def _dbt(self, warehouse: Path, *args: str) -> None:
        result = self.seeded[self.active].project.dbt(warehouse, "run", *args)
        assert result.success, result.exception or [one.message for one in result.result if one.status == "error"]  # type: ignore[union-attr]

    def differences(self) -> list[Difference]:
        """Against the evaluator, every user, every table that is a function of the events."""
        self.evaluator.use_keys(event_keys(self.warehouse))
        truth = self.evaluator.truth()
        return [
            *compare_events(self.warehouse, self.evaluator),
            *compare_quarantine(self.warehouse, self.evaluator),
            *compare_counts(self.warehouse, self.counts, self.clocks),
            *compare_visits(self.warehouse, truth, self.evaluator.rules),
            *compare_matches(self.warehouse, truth),
            *compare_profiles(self.warehouse, self.evaluator, self.seeded[self.active].profile_kinds),
            *compare_undecided(self.warehouse, truth, self.watermark),
            *(compare_decisions(self.warehouse, self.ledger) if self.is_deciding else []),
            *(compare_outbox(self.warehouse) if self.is_deciding else []),
        ]

    def differences_to_full_refresh(self) -> list[Difference]:
        """Against a full refresh on a copy of the warehouse."""
        copy = copy_warehouse(self.warehouse, self.home / "anew" / "warehouse.duckdb")
        self._dbt(copy, "--full-refresh", *WHOLE)
        return compare_tables(self.warehouse, copy)


def play(replay: Replay, history: Sequence[Sent], *, is_thorough: bool = True) -> list[Difference]:
    """The first differences that a history leads to: at the end, and where `is_thorough` after every whole build and
    against a full refresh too."""
    batches = max(one.batch for one in history)
    for batch in range(1, batches + 1):
        mine = [one for one in history if one.batch == batch]
        replay.load([one.line for one in mine if not is_step(one)])
        steps = [one.line for one in mine if is_step(one)]
        if batch == batches:
            steps = [*steps, BUILD] if steps[-1:] != [BUILD] else steps
        for step in steps:
            replay.take(step)
            if step == BUILD and (is_thorough or batch == batches) and (found := replay.differences()):
                return found
    return replay.differences_to_full_refresh() if is_thorough else []
