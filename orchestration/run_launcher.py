"""Dagster's own run launcher, which also notices a worker that died with its server."""

from __future__ import annotations

from collections import Counter

from dagster import DagsterRun
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value

LOOKS = 2


class WatchedRunLauncher(DefaultRunLauncher):
    """The default launcher knows no health: after a power cut, or `dagster dev` killed, the run under way stays
    "started" for ever, and every later batch waits for its place. Here the run's server is asked; a run that it does
    not have, or whose server is gone, at two looks in a row has failed, and the next batch catches up. Two, because its
    last events may be on their way."""

    def __init__(self, inst_data=None) -> None:  # type: ignore[no-untyped-def]
        super().__init__(inst_data)
        self._misses: Counter[str] = Counter()

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        if self._has_worker(run):
            self._misses.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._misses[run.run_id] += 1
        if self._misses[run.run_id] < LOOKS:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, "its process is gone. Nothing is lost: the next run catches up by itself"
        )

    def _has_worker(self, run: DagsterRun) -> bool:
        client = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return False
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=5)
        except DagsterUserCodeUnreachableError:
            return False
        return deserialize_value(answer, CanCancelExecutionResult).can_cancel
