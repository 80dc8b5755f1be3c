"""Sends what fired: claim, send, record (semantics, section 8).

Rows are claimed in one short transaction, sent in groups with the warehouse closed, and each group is recorded
before the next is sent. A process that dies leaves at most one group unrecorded and one claim open; the
destination's crash policy settles both. That the match is still there is checked at the claim, so the check is as
old as sending one claim takes: up to `claim_rows` requests.
"""

from __future__ import annotations

import logging
import random
import traceback
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import duckdb
from filelock import FileLock, Timeout

from orchestration import delivery_log
from orchestration.delivery_log import Doubt, Entry, utc_now
from orchestration.destinations.base import CrashPolicy, Destination, OutboxRow, Outcome, SendResult
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings
from orchestration.errors import DeliveryError, EndpointRefused, TriplineError, WarehouseLocked
from orchestration.push_report import PushReport
from orchestration.settings import Settings
from orchestration.warehouse import connect

Progress = Callable[[int, int], None]
"""Called after every group with (rows dealt with, rows that were due when the push began)."""

logger = logging.getLogger(__name__)

NOT_SENT = "not sent: the rows before it were not taken"
RETRIED = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WAITING_FOR_ADDRESS)


class PushRunning(WarehouseLocked):
    """Another push is at work; two would send the same rows."""


def push(
    settings: Settings,
    *,
    destination: str | None = None,
    dry_run: bool | None = None,
    max_rows: int | None = None,
    progress: Progress | None = None,
    registry: Registry | None = None,
) -> PushReport:
    """Sends every due row of the outbox, or those of one destination; up to `max_rows` for each.

    `dry_run` (default: TRIPLINE_DELIVERY) settles the rows as `dry_run` and sends nothing. What a platform answers
    is data, not an error; a destination that is unknown, not configured or broken is a problem in the report.
    Raises PushRunning, WarehouseLocked, and ConfigError for an unknown `destination`.
    """
    registry = registry or Registry()
    if destination is not None:
        registry.capabilities(destination)
    # Beside the warehouse, which is what it guards, wherever TRIPLINE_WAREHOUSE puts that.
    lock_path = settings.warehouse_path.with_name(settings.warehouse_path.name + ".push.lock")
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock_path, blocking=False):
            return _Push(settings, registry, dry_run, max_rows, progress).run(destination)
    except Timeout:
        raise PushRunning(
            f"another push is running ({lock_path} is locked)", "wait for it to end; it sends the same rows"
        ) from None


def outbox_fingerprint(
    connection: duckdb.DuckDBPyConnection, *, now: datetime | None = None, registry: Registry | None = None
) -> str | None:
    """A hash of the due, unsettled outbox rows; None where there are none.

    It covers each row's key, status and attempts, so that it changes after every attempt and a row that failed is
    asked for again. Rows held for a person are left out. `now` is UTC without zone. `connection` may be read-only.
    """
    if not delivery_log.has_outbox(connection):
        return None
    doubt = _doubt(registry or Registry(), PushSettings())
    return delivery_log.fingerprint(connection, doubt, now or utc_now())


def _doubt(registry: Registry, push_settings: PushSettings) -> Doubt:
    return Doubt(registry.crash_policies(push_settings))


class _Push:
    """One run, by the holder of the push lock."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        dry_run: bool | None,
        max_rows: int | None,
        progress: Progress | None,
    ) -> None:
        self.settings = settings
        self.push_settings = PushSettings()
        self.registry = registry
        self.doubt = _doubt(registry, self.push_settings)
        self.max_rows = max_rows or self.push_settings.max_rows
        self.progress = progress or (lambda done, total: None)
        self.done = self.total = 0
        is_dry_run = settings.delivery == "dry_run" if dry_run is None else dry_run
        self.report = PushReport(uuid.uuid4().hex, is_dry_run, utc_now())

    def run(self, destination: str | None) -> PushReport:
        with connect(self.settings.warehouse_path, wait_seconds=self.settings.lock_timeout_seconds) as connection:
            due: dict[str, int] = {}
            if delivery_log.has_outbox(connection):
                due = delivery_log.due_by_destination(connection, self.doubt, self.report.push_id)
                self.report.held = delivery_log.held_by_destination(connection, self.doubt)
        names = [name for name in due if destination in (None, name)]
        self.total = sum(min(due[name], self.max_rows) for name in names)
        for name in names:
            try:
                self._serve(name)
            except WarehouseLocked:
                raise
            except TriplineError as problem:
                self.report.problems[name] = problem
        self.report.finished_at = utc_now()
        return self.report

    def _serve(self, name: str) -> None:
        self.registry.capabilities(name)
        if self.report.is_dry_run:
            self._take_turns(name, None)
            return
        destination = self.registry.create(name, self.settings)
        try:
            self._take_turns(name, destination)
        finally:
            destination.close()

    def _take_turns(self, name: str, destination: Destination | None) -> None:
        """Claims and sends until nothing is due, `max_rows` are done, or a group brought no delivery."""
        claim_rows, group_rows = self._group_sizes(name)
        left = self.max_rows
        claimed: list[OutboxRow] = []
        unrecorded: list[Entry] = []
        problem: TriplineError | None = None
        is_over = False
        while claimed or unrecorded or not is_over:
            with self._open(unrecorded) as connection:
                delivery_log.record(connection, unrecorded, self.report.push_id)
                self._count(name, unrecorded)
                if not claimed and not is_over:
                    claim = self._claim(connection, name, min(claim_rows, left))
                    claimed, taken = claim.rows, sum(claim.counts.values())
                    left -= taken
                    is_over = left <= 0 or taken < claim_rows
            unrecorded = []
            if destination is None or not claimed:
                continue
            group, claimed = claimed[:group_rows], claimed[group_rows:]
            results, problem = _send(destination, group, self.doubt.policies[name])
            problem = problem or _refusal(name, destination)
            if problem is not None or not _any_delivered(results):
                is_over = True
                results += [SendResult(row, Outcome.FAILED, answer=NOT_SENT) for row in claimed]
                claimed = []
            unrecorded = [Entry(result, self._retry_at(result)) for result in results]
        if problem is not None:
            raise problem

    def _open(self, unrecorded: list[Entry]) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        wait = self.settings.lock_timeout_seconds
        if unrecorded:
            wait = max(wait, self.push_settings.record_wait_seconds)
        return connect(self.settings.warehouse_path, wait_seconds=wait)

    def _group_sizes(self, name: str) -> tuple[int, int]:
        """Rows to claim together, and of those, rows to send and record together."""
        group_rows = self.push_settings.group_rows
        if self.doubt.policies[name] is CrashPolicy.HOLD:
            # A claimed row that was never sent would wait for a person too: claim what one request takes.
            group_rows = min(group_rows, self.registry.capabilities(name).max_batch_size)
            return group_rows, group_rows
        return max(group_rows, self.push_settings.claim_rows), group_rows

    def _claim(self, connection: duckdb.DuckDBPyConnection, name: str, max_rows: int) -> delivery_log.Claim:
        claim = delivery_log.claim(
            connection,
            self.doubt,
            push_id=self.report.push_id,
            destination=name,
            max_rows=max_rows,
            is_dry_run=self.report.is_dry_run,
        )
        settled = {status: rows for status, rows in claim.counts.items() if status != "claimed"}
        self.report.add(name, settled)
        self._advance(sum(settled.values()))
        return claim

    def _count(self, name: str, entries: list[Entry]) -> None:
        self.report.add(name, Counter(str(entry.result.outcome) for entry in entries))
        self._advance(len(entries))

    def _advance(self, rows: int) -> None:
        if rows:
            self.done += rows
            self.progress(self.done, self.total)

    def _retry_at(self, result: SendResult) -> datetime | None:
        """Where the platform named a time, that; else doubling, with up to a tenth more, so that rows spread."""
        if result.outcome not in RETRIED:
            return None
        wait = result.retry_after
        if wait is None:
            doubled = self.push_settings.retry_seconds * 2.0 ** min(result.row.attempt - 1, 30)
            wait = min(doubled, self.push_settings.retry_max_seconds) * random.uniform(1.0, 1.1)
        return utc_now() + timedelta(seconds=wait)


def _refusal(name: str, destination: Destination) -> TriplineError | None:
    if destination.traffic.refusal is None:
        return None
    return EndpointRefused(
        f"{name}: the endpoint refuses everything ({destination.traffic.refusal}); the rest was not sent",
        "check its address and credentials; what was not sent goes out with a later push",
    )


def _any_delivered(results: list[SendResult]) -> bool:
    return any(result.outcome is Outcome.DELIVERED for result in results)


def _send(
    destination: Destination, rows: list[OutboxRow], policy: CrashPolicy
) -> tuple[list[SendResult], TriplineError | None]:
    """One result per row, whatever the destination does."""
    results: list[SendResult] = []
    problem: TriplineError | None = None
    try:
        in_doubt = [row for row in rows if policy is CrashPolicy.RECONCILE and _is_in_doubt(row)]
        found = destination.reconcile(in_doubt) if in_doubt else []
        results += [result for result in found if result.outcome is not Outcome.NOT_FOUND]
        missing = {result.row.idempotency_key for result in found if result.outcome is Outcome.NOT_FOUND}
        open_rows = [row for row in rows if row not in in_doubt or row.idempotency_key in missing]
        gone = [row for row in open_rows if not row.is_match_present]
        results += [SendResult(row, Outcome.CANCELLED, answer="the match is gone; nothing had arrived") for row in gone]
        results += destination.send([row for row in open_rows if row.is_match_present])
    except Exception as error:  # a bug in one destination: its rows are in doubt, the other destinations go on
        name, frames = rows[0].destination, "".join(traceback.format_tb(error.__traceback__))
        # Without the error's own words: they may hold a URL with its token.
        logger.error("destination %s broke: %s\n%s", name, type(error).__name__, frames)
        problem = DeliveryError(f"{name} broke: {type(error).__name__}", "see the log; this is a bug")
    seen = {result.row.idempotency_key for result in results}
    lost = [row for row in rows if row.idempotency_key not in seen]
    return results + [SendResult(row, Outcome.UNKNOWN, answer="the destination did not say") for row in lost], problem


def _is_in_doubt(row: OutboxRow) -> bool:
    return row.previous_status in ("claimed", "unknown")
