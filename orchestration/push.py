"""Sends what fired: claim, send, record (semantics, section 8), every destination in a thread of its own.

One push at a time, and in it one hand on the warehouse at a time: it is opened for moments, and closed while anything
is on the wire. What a destination's thread does is in push_turn.py.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime

import duckdb
from filelock import FileLock, Timeout

from orchestration import delivery_log
from orchestration.breaker import Breaker
from orchestration.delivery_log import Failures, Look, Terms, utc_now
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings
from orchestration.errors import ConfigError, TriplineError, WarehouseLocked
from orchestration.push_report import PushReport
from orchestration.push_turn import Shared, Turn
from orchestration.settings import Settings
from orchestration.warehouse import connect

Progress = Callable[[int, int], None]
"""Called after every group with (rows dealt with, rows that were due when the push began)."""


class PushRunning(WarehouseLocked):
    """Another push is at work; two would send the same rows."""


def push(
    settings: Settings,
    *,
    destination: str | None = None,
    dry_run: bool | None = None,
    is_history: bool = False,
    max_rows: int | None = None,
    hurry_seconds: float | None = None,
    progress: Progress | None = None,
    registry: Registry | None = None,
) -> PushReport:
    """Sends every due row of the outbox, or those of one destination; up to `max_rows` for each.

    `dry_run` (default: TRIPLINE_DELIVERY, and TRIPLINE_PUSH_DRY_RUN by destination) settles the rows as `dry_run` and
    sends nothing. `is_history` sends, instead of what fired, the matches that were too old to fire, as history and only
    to destinations that can take it so. What a platform answers is data, not an error; a destination that is unknown,
    not configured or broken is a problem in the report. `hurry_seconds` begins nothing new after so long, and leaves
    destinations at which the last rows all failed to a push that has time. Raises PushRunning, WarehouseLocked, and
    ConfigError for an unknown `destination` and for crash policies that cannot be.
    """
    registry = registry or Registry(settings=settings)
    if destination is not None:
        registry.capabilities(destination)
    # Beside the warehouse, which is what it guards, wherever TRIPLINE_WAREHOUSE puts that.
    lock_path = settings.warehouse_path.with_name(settings.warehouse_path.name + ".push.lock")
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock_path, blocking=False):
            return _Push(settings, registry, dry_run, is_history, max_rows, hurry_seconds, progress).run(destination)
    except Timeout:
        raise PushRunning(
            f"another push is running ({lock_path} is locked)", "wait for it to end; it sends the same rows"
        ) from None


def outbox_fingerprint(
    connection: duckdb.DuckDBPyConnection, *, now: datetime | None = None, registry: Registry | None = None
) -> str | None:
    """A hash of the due, unsettled outbox rows; None where there are none.

    It covers each row's key, status and attempts, so that it changes after every attempt and a row that failed is
    asked for again. Left out are rows held for a person, and those of a destination whose circuit breaker is open.
    `now` is UTC without zone. `connection` may be read-only.
    """
    if not delivery_log.has_outbox(connection):
        return None
    push_settings = PushSettings()
    failures = delivery_log.failures_by_destination(connection)
    breakers = {name: Breaker(failed, push_settings) for name, failed in failures.items()}
    look = Look(_terms(registry or Registry(), push_settings, breakers))
    return delivery_log.fingerprint(connection, look, now or utc_now())


def _terms(registry: Registry, push_settings: PushSettings, breakers: dict[str, Breaker]) -> list[Terms]:
    """What holds for each destination. Raises ConfigError for crash policies that cannot be."""
    terms = []
    for name, policy in registry.crash_policies(push_settings).items():
        capabilities = registry.capabilities(name)
        is_open = name in breakers and breakers[name].is_open
        terms.append(Terms(name, policy, capabilities.needs, is_open, capabilities.history is not None))
    return terms


class _Push:
    """One run, by the holder of the push lock."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        dry_run: bool | None,
        is_history: bool,
        max_rows: int | None,
        hurry_seconds: float | None,
        progress: Progress | None,
    ) -> None:
        self.settings = settings
        self.registry = registry
        self.push_settings = PushSettings()
        self.is_history = is_history
        self.max_rows = max_rows or self.push_settings.max_rows
        self.is_hurried = hurry_seconds is not None
        self.seconds = self.push_settings.max_seconds
        if hurry_seconds is not None:
            self.seconds = min(self.seconds, hurry_seconds)
        self.progress = progress or (lambda done, total: None)
        is_dry_run = settings.delivery == "dry_run" if dry_run is None else dry_run
        self.dry_names = set(self.push_settings.dry_run) if dry_run is None else set()
        for name in self.dry_names - set(registry.names()):
            raise ConfigError(
                f'TRIPLINE_PUSH_DRY_RUN: there is no destination "{name}"',
                f"known destinations: {', '.join(registry.names())}",
            )
        self.report = PushReport(uuid.uuid4().hex, is_dry_run, utc_now(), is_history=is_history)

    def run(self, destination: str | None) -> PushReport:
        with connect(self.settings.warehouse_path, wait_seconds=self.settings.lock_timeout_seconds) as connection:
            failures: dict[str, Failures] = {}
            due: dict[str, int] = {}
            look = self._look(0, {})
            if delivery_log.has_outbox(connection):
                failures = delivery_log.failures_by_destination(connection)
                look = self._look(delivery_log.last_seq(connection), failures)
                due = delivery_log.due_by_destination(connection, look)
                self.report.held = delivery_log.held_by_destination(connection, look)
        shared = Shared(
            self.settings,
            self.push_settings,
            self.registry,
            self.report,
            look,
            self.progress,
            total=0,
            deadline=time.monotonic() + self.seconds,
        )
        _Turns(self, shared, failures, destination).run(due)
        self.report.finished_at = utc_now()
        return self.report

    def _look(self, from_seq: int, failures: dict[str, Failures]) -> Look:
        breakers = {name: Breaker(failed, self.push_settings) for name, failed in failures.items()}
        terms = _terms(self.registry, self.push_settings, breakers)
        self.report.resting = sorted(term.destination for term in terms if term.is_open)
        return Look(terms, self.report.push_id, from_seq, self.is_history)


class _Turns:
    """Serves every destination at once, and while one of them still is busy, the others with what came meanwhile."""

    def __init__(self, push: _Push, shared: Shared, failures: dict[str, Failures], only: str | None) -> None:
        self.push = push
        self.shared = shared
        self.failures = failures
        self.only = only
        self.rows_left: dict[str, int] = {}
        self.ended_badly: set[str] = set()
        self.locked: list[WarehouseLocked] = []

    def run(self, due: dict[str, int]) -> None:
        """Raises WarehouseLocked when all have ended, if one met it."""
        names = self.push.registry.names()
        busy: dict[Future[None], str] = {}
        with ThreadPoolExecutor(len(due) + len(names), thread_name_prefix="push") as threads:
            try:
                while True:
                    for name in self._to_serve(due, set(busy.values())):
                        busy[threads.submit(self._serve, name)] = name
                    if not busy:
                        break
                    done, _ = wait(busy, timeout=self.push.push_settings.look_seconds, return_when=FIRST_COMPLETED)
                    for turn in done:
                        busy.pop(turn)
                        turn.result()
                    due = self._look_again() if busy else {}
            finally:
                # A person's Ctrl-C, or a bug: what is on the wire is still recorded, nothing new goes out.
                self.shared.is_stopping.set()
        problems = self.push.report.problems
        self.push.report.problems = {name: problems[name] for name in sorted(problems)}
        if self.locked:
            raise self.locked[0]

    def _to_serve(self, due: dict[str, int], busy: set[str]) -> list[str]:
        names = []
        for name, rows in due.items():
            left = self.rows_left.setdefault(name, self.push.max_rows)
            if self.push.is_hurried and name in self.failures:
                continue
            if self.only in (None, name) and name not in busy | self.ended_badly and left > 0:
                self.shared.total += min(rows, left)
                names.append(name)
        return names

    def _look_again(self) -> dict[str, int]:
        if self.shared.is_late():
            return {}
        try:
            with self.shared.open(0.0) as connection:
                return delivery_log.due_by_destination(connection, self.shared.look)
        except WarehouseLocked:
            return {}  # a batch is at it; there is another look soon

    def _serve(self, name: str) -> None:
        push = self.push
        turn = Turn(
            self.shared,
            name,
            Breaker(self.failures.get(name), push.push_settings),
            max_rows=self.rows_left[name],
            is_dry_run=push.report.is_dry_run or name in push.dry_names,
        )
        try:
            turn.run()
        except WarehouseLocked as error:
            self.locked.append(error)
            turn.is_over = True
        except TriplineError as problem:
            push.report.problems[name] = problem
            turn.is_over = True
        self.rows_left[name] -= turn.rows_taken
        if turn.is_over:
            self.ended_badly.add(name)
