"""One history through the real loader and the real dbt project, and what the evaluator says of it.

The evaluator is given each batch's clock by the loader's report, which is checked first: in a replay it is the data's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from orchestration.load import BatchReport, load_batch
from orchestration.settings import Settings
from tests.replay.comparing import (
    Difference,
    compare_counts,
    compare_events,
    compare_matches,
    compare_quarantine,
    compare_tables,
    compare_visits,
    event_keys,
)
from tests.replay.evaluator import Counts, Evaluator
from tests.replay.harness import Project, ask, copy_warehouse, write_lines
from tests.replay.rules import Rules
from tests.replay.streams import to_micros

# What monitoring shows rests on wall times and holds no state of its own.
WHOLE = ("--exclude", "monitoring")


@dataclass
class Replay:
    """A warehouse with its landing folder, and the evaluator beside it."""

    project: Project
    home: Path
    rules: Rules
    evaluator: Evaluator = field(init=False)
    counts: dict[int, Counts] = field(default_factory=dict)
    clocks: dict[int, int] = field(default_factory=dict)
    _loads: int = 0

    def __post_init__(self) -> None:
        self.evaluator = Evaluator(self.rules)
        self.settings = Settings(home=self.home, settle_seconds=0)

    @property
    def warehouse(self) -> Path:
        return self.settings.warehouse_path

    def load(self, lines: Sequence[str]) -> BatchReport:
        """One batch; without lines, a file that holds nothing but ends of lines."""
        self._loads += 1
        text = lines or [""] * self._loads
        file = write_lines(self.settings.landing_path, f"{self._loads:03d}.jsonl", text)
        report = load_batch(self.warehouse, self.settings, replay=True, files=[file])
        assert report.batch_id is not None and report.clock_at is not None, report
        clock = to_micros_naive(report.clock_at)
        counts = self.evaluator.load(report.batch_id, lines, clock)
        assert clock == max(counts.complete_through or 0, *self.clocks.values(), 0), report
        self.counts[report.batch_id], self.clocks[report.batch_id] = counts, clock
        return report

    def change(self, project: Project, rules: Rules) -> None:
        """Other seeds from here on: another copy of the project, and an evaluator that knows nothing of before."""
        self.project, self.rules = project, rules
        self.evaluator.change(rules)

    def build(self) -> None:
        """A whole build; seeds are loaded with it."""
        result = self.project.dbt(self.warehouse, "run", *WHOLE)
        assert result.success, result.exception or [one.message for one in result.result if one.status == "error"]

    def differences(self) -> list[Difference]:
        """Against the evaluator, every user, every table that is a function of the events."""
        keys = event_keys(self.warehouse)
        self.evaluator.use_keys(keys)
        truth = self.evaluator.truth()
        return [
            *compare_events(self.warehouse, self.evaluator),
            *compare_quarantine(self.warehouse, self.evaluator),
            *compare_counts(self.warehouse, self.counts, self.clocks),
            *compare_visits(self.warehouse, truth, self.rules),
            *compare_matches(self.warehouse, truth),
        ]

    def differences_to_full_refresh(self) -> list[Difference]:
        """Against a full refresh on a copy of the warehouse."""
        copy = copy_warehouse(self.warehouse, self.home / "anew" / "warehouse.duckdb")
        result = self.project.dbt(copy, "run", "--full-refresh", *WHOLE)
        assert result.success, result.exception
        return compare_tables(self.warehouse, copy)


def to_micros_naive(moment: datetime) -> int:
    return to_micros(moment.replace(tzinfo=UTC))
