"""The processes that a template forked, until they are gone."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from orchestration.warm.door import Visitor
from orchestration.warm.worker import ASKED_TO_END, become_worker

ASK_AGAIN_SECONDS = 10.0  # who heard the first call has ended long before: it takes a second


@dataclass(eq=False)
class Child:
    """`run_id`: the run it is, or works for; empty for a dbt command of nobody's run. `visitor`: who waits for it."""

    pid: int
    kind: str  # run, dbt, settle
    run_id: str
    arguments: str = ""
    visitor: Visitor | None = None
    is_asked_to_end: bool = False
    ask_again_at: float = math.inf  # of time.monotonic()
    kill_at: float = math.inf


class Children:
    def __init__(self, let_go: Callable[[], None]) -> None:
        self._let_go = let_go
        self._all: dict[int, Child] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._all.values()))

    def run(self, run_id: str) -> Child | None:
        return next((child for child in self if child.kind == "run" and child.run_id == run_id), None)

    def of_run(self, run_id: str, kind: str) -> list[Child]:
        return [child for child in self if run_id and child.run_id == run_id and child.kind == kind]

    def fork(self, kind: str, run_id: str, work: Callable[[], int], **facts: object) -> Child:
        """A child that does `work`, in a process group of its own."""
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKED_TO_END)
        try:
            pid = os.fork()
            if pid == 0:
                become_worker(work, parent, self._let_go)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        with suppress(OSError):
            os.setpgid(pid, pid)  # the child does so too; whoever comes first
        child = Child(pid, kind, run_id, **facts)  # type: ignore[arg-type]
        self._all[pid] = child
        return child

    def ask_to_end(self, child: Child, kill_after: float) -> None:
        """As Ctrl-C would; its whole group is killed after `kill_after` seconds."""
        child.is_asked_to_end = True
        child.kill_at = min(child.kill_at, time.monotonic() + kill_after)
        self._interrupt(child)

    def press(self) -> None:
        """Asks again who did not end: Python drops a signal that comes while it runs a destructor. Not a run that waits
        for its dbt to end, which a second call would tear away from it. Kills who is overdue."""
        now = time.monotonic()
        for child in self:
            if now > child.kill_at:
                self._signal_group(child, signal.SIGKILL)
            elif now > child.ask_again_at and not (child.kind == "run" and self.of_run(child.run_id, "dbt")):
                self._interrupt(child)

    def _interrupt(self, child: Child) -> None:
        child.ask_again_at = time.monotonic() + ASK_AGAIN_SECONDS
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGINT)

    def reap(self) -> Iterator[tuple[Child, int]]:
        """(child, how it ended as subprocess tells it) of those that ended since. What a child started and left behind
        goes with it where it did not end by itself."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self._all.pop(pid, None)
            if child:
                code = os.waitstatus_to_exitcode(status)
                if code:
                    self._signal_group(child, signal.SIGTERM)
                yield child, code

    def _signal_group(self, child: Child, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)
