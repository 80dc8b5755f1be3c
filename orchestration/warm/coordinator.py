"""Dagster's run queue, looked at twice a second."""

from __future__ import annotations

from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator


class PromptRunCoordinator(QueuedRunCoordinator):
    """Configured as QueuedRunCoordinator is, whose interval is a whole number of seconds. Its daemon takes any, and
    looks at its clock every half second."""

    @property
    def dequeue_interval_seconds(self) -> float:  # type: ignore[override]
        return 0.4
