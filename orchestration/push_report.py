"""What one push did."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from orchestration.destinations.base import Outcome
from orchestration.destinations.traffic import Traffic
from orchestration.errors import TriplineError


@dataclass
class PushReport:
    """What one push did. `counts`: destination, then delivery status, to rows. Times are UTC without zone.

    `held`: rows in doubt that wait for a person, by destination. `resting`: destinations whose circuit breaker is open.
    `problems`: destinations that could not be served to the end, and why; the others were. `traffic`: what went over
    the wire, by destination.
    """

    push_id: str
    is_dry_run: bool
    started_at: datetime
    finished_at: datetime | None = None
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    problems: dict[str, TriplineError] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)
    traffic: dict[str, Traffic] = field(default_factory=dict)
    is_history: bool = False

    def total(self, status: str) -> int:
        """Rows that ended this push with `status`, over all destinations."""
        return sum(by_status.get(status, 0) for by_status in self.counts.values())

    @property
    def delivered(self) -> int:
        return self.total(Outcome.DELIVERED)

    def add(self, destination: str, counts: dict[str, int]) -> None:
        mine = self.counts.setdefault(destination, {})
        for status, rows in counts.items():
            mine[status] = mine.get(status, 0) + rows

    def raise_problems(self) -> None:
        """Raises the first problem, for callers that have shown the rest."""
        for problem in self.problems.values():
            raise problem

    def as_dict(self) -> dict[str, object]:
        """Plain values, for metadata and --json."""
        return {
            "push_id": self.push_id,
            "is_dry_run": self.is_dry_run,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat() if self.finished_at else None,
            "counts": self.counts,
            "held": self.held,
            "resting": self.resting,
            "is_history": self.is_history,
            "traffic": {name: traffic_of(traffic) for name, traffic in self.traffic.items()},
            "problems": {name: str(problem) for name, problem in self.problems.items()},
        }


def traffic_of(traffic: Traffic) -> dict[str, float | int | None]:
    """Plain values; seconds are rounded to milliseconds."""
    p95 = traffic.p95_latency()
    return {
        "requests": traffic.requests,
        "retries": traffic.retries,
        "limited": traffic.limited,
        "limiter_wait_seconds": round(traffic.limiter_wait_seconds, 3),
        "p95_latency_seconds": None if p95 is None else round(p95, 3),
    }
