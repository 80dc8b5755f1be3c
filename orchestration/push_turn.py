"""One destination's part of a push.

Rows are claimed in short transactions and sent in groups; while a group is on the wire, the one before it is recorded
and more is claimed. A process that dies leaves at most two groups unrecorded and two claims open; the destination's
crash policy settles both. Where that is `hold`, a person has to settle them, so one request's rows are claimed, sent
and recorded before the next. That a row is still to be sent is checked at the claim, so the check is as old as sending
two claims takes.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import duckdb

from orchestration import delivery_log
from orchestration.breaker import Breaker
from orchestration.delivery_log import Entry, Look, utc_now
from orchestration.destinations.base import CrashPolicy, Destination, OutboxRow, Outcome, SendResult
from orchestration.destinations.limiter import strictest
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings
from orchestration.errors import DeliveryError, EndpointRefused, TriplineError
from orchestration.push_report import PushReport
from orchestration.settings import Settings
from orchestration.warehouse import connect

logger = logging.getLogger(__name__)

GROUP_SECONDS = 2.0  # of sending at the platform's limit: the wait for a group's last answer costs little beside it
GROUP_REQUESTS = 10  # where there is no limit, for each connection
MOST_ROWS = 5_000  # in a group, so that memory stays small and claims young
NOT_SENT = "not sent: the rows before it were not taken"
RETRIED = (Outcome.FAILED, Outcome.UNKNOWN)
IN_DOUBT = ("claimed", "unknown", "held")
Sent = tuple[list[SendResult], TriplineError | None]


@dataclass
class Shared:
    """What the destinations of one push have in common."""

    settings: Settings
    push_settings: PushSettings
    registry: Registry
    report: PushReport
    look: Look
    progress: Callable[[int, int], None]
    total: int
    """Rows that were due when the push began, and those that came since and were begun with."""
    deadline: float
    """Monotonic seconds after which nothing new is claimed."""
    done: int = 0
    is_stopping: threading.Event = field(default_factory=threading.Event)
    _warehouse: threading.Lock = field(default_factory=threading.Lock)
    _counts: threading.Lock = field(default_factory=threading.Lock)

    def is_late(self) -> bool:
        return self.is_stopping.is_set() or time.monotonic() > self.deadline

    @contextmanager
    def open(self, wait_seconds: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """The warehouse, for one thread at a time: numbers of the log are given out by reading its last one."""
        with (
            self._warehouse,
            connect(self.settings.warehouse_path, wait_seconds=wait_seconds, is_known=True) as connection,
        ):
            yield connection

    def count(self, name: str, counts: dict[str, int]) -> None:
        """Adds rows by their status to the report, and tells the caller how far the push is."""
        with self._counts:
            self.report.add(name, counts)
            rows = sum(counts.values())
            if rows:
                self.done += rows
                self.progress(self.done, self.total)


class Turn:
    """Serves one destination once."""

    def __init__(self, shared: Shared, name: str, breaker: Breaker, *, max_rows: int, is_dry_run: bool) -> None:
        self.shared = shared
        self.name = name
        self.breaker = breaker
        self.max_rows = max_rows
        self.is_dry_run = is_dry_run
        self.push_settings = shared.push_settings
        self.line: list[int] | None = None
        """Numbers of the outbox still to be claimed; None before the first claim."""
        self.rows_taken = 0
        self.is_over = False
        self.has_arrived = False
        self.policy = next(
            (terms.policy for terms in shared.look.terms if terms.destination == name), CrashPolicy.RESEND
        )

    def run(self) -> None:
        """Raises TriplineError where the destination cannot be served, or not to the end."""
        self.shared.registry.capabilities(self.name)
        if self.is_dry_run:
            self._take_turns(None)
            logger.info("%s: a dry run, nothing was sent", self.name)
            return
        destination = self._create()
        try:
            self._take_turns(destination)
        finally:
            self.shared.report.traffic[self.name] = destination.traffic
            destination.close()

    def _create(self) -> Destination:
        try:
            return self.shared.registry.create(self.name, self.shared.settings)
        except TriplineError:
            raise
        except Exception as error:  # a bug in one destination stops no other
            raise _broken(self.name, error) from None

    def _take_turns(self, destination: Destination | None) -> None:
        """Claims and sends until nothing is due, `max_rows` or the time are used up, or a group brought no delivery.

        What was sent is written down, and more is claimed, while the next group is on the wire.
        """
        with ThreadPoolExecutor(1, thread_name_prefix=f"clerk-{self.name}") as clerk:
            problem = self._serve(destination, clerk)
        if problem is not None:
            raise problem

    def _serve(self, destination: Destination | None, clerk: Executor) -> TriplineError | None:
        claim_rows, group_rows = self._group_sizes()
        claimed: list[OutboxRow] = []
        unrecorded: list[Entry] = []
        problem: TriplineError | None = None
        while True:
            wanted = self._rows_wanted(len(claimed), claim_rows, group_rows)
            visit = clerk.submit(self._visit, unrecorded, wanted)
            is_ahead = bool(claimed) and self.policy is not CrashPolicy.HOLD
            claimed += [] if is_ahead else visit.result()
            if destination is None or not claimed:
                if wanted and self.line:
                    continue
                return problem
            group, claimed = claimed[:group_rows], claimed[group_rows:]
            results, problem = self._send(destination, group)
            claimed += visit.result() if is_ahead else []
            if problem is not None or has_failed(results) or self.shared.is_stopping.is_set():
                self.is_over = True
                results += [SendResult(row, Outcome.FAILED, answer=NOT_SENT) for row in claimed]
                claimed = []
            self.has_arrived = self.has_arrived or not self.is_over
            unrecorded = [Entry(result, self._retry_at(result)) for result in results]

    def _rows_wanted(self, rows_at_hand: int, claim_rows: int, group_rows: int) -> int:
        """How many rows to claim now: a single group until one arrived, then more in good time, none at the end."""
        if self.is_over or self.shared.is_late():
            return 0
        if not self.has_arrived:
            return 0 if rows_at_hand else min(self.push_settings.group_rows, group_rows)
        # Where a person decides on rows in doubt, no row is claimed before its turn.
        enough = 1 if self.policy is CrashPolicy.HOLD else 2 * group_rows
        return max(claim_rows, enough) - rows_at_hand if rows_at_hand < enough else 0

    def _visit(self, unrecorded: list[Entry], wanted: int) -> list[OutboxRow]:
        """One opening of the warehouse: writes down what was sent, and returns up to `wanted` newly claimed rows."""
        if not unrecorded and not wanted:
            return []
        wait = self.shared.settings.lock_timeout_seconds
        if unrecorded:
            wait = max(wait, self.push_settings.record_wait_seconds)
        with self.shared.open(wait) as connection:
            delivery_log.record(connection, unrecorded, self.shared.report.push_id)
            self.shared.count(self.name, Counter(str(entry.result.outcome) for entry in unrecorded))
            return self._claim(connection, wanted) if wanted else []

    def _group_sizes(self) -> tuple[int, int]:
        """Rows to claim together, and of those, rows to send and record together."""
        capabilities = self.shared.registry.capabilities(self.name)
        a_request = self.push_settings.batch_size_of(self.name, capabilities)
        if self.policy is CrashPolicy.HOLD:
            # A claimed row that was never sent would wait for a person too: claim what one request takes.
            group_rows = min(self.push_settings.group_rows, a_request)
            return group_rows, group_rows
        group_rows = max(self.push_settings.group_rows, a_request * capabilities.max_concurrency)
        # What a kill leaves unrecorded is sent again, so there is little of it where that can take effect twice.
        if capabilities.deduplicates and a_request > 1:
            requests = self._requests_in(GROUP_SECONDS) or GROUP_REQUESTS * capabilities.max_concurrency
            group_rows = max(group_rows, min(MOST_ROWS, requests * a_request))
        return max(self.push_settings.claim_rows, group_rows), group_rows

    def _requests_in(self, seconds: float) -> int | None:
        """What the limits allow, at least one; None where there are none."""
        capabilities = self.shared.registry.capabilities(self.name)
        limits = self.push_settings.limits_of(self.name, capabilities)
        if not limits:
            return None
        limit = strictest(limits)
        return max(1, round(seconds * limit.requests / limit.seconds * self.push_settings.share_of(self.name)))

    def _claim(self, connection: duckdb.DuckDBPyConnection, max_rows: int) -> list[OutboxRow]:
        """The next rows to send; those that the claim itself settled are counted and left out."""
        look = self.shared.look
        if self.line is None:
            self.line = delivery_log.line_up(connection, look, self.name, self.max_rows)
        taken, self.line = self.line[:max_rows], self.line[max_rows:]
        if not taken:
            return []
        self.rows_taken += len(taken)
        claim = delivery_log.claim(
            connection,
            look,
            taken,
            is_dry_run=self.is_dry_run,
            give_up_seconds=self.push_settings.give_up_seconds,
        )
        self.shared.count(self.name, {status: rows for status, rows in claim.counts.items() if status != "claimed"})
        return claim.rows

    def _send(self, destination: Destination, group: list[OutboxRow]) -> Sent:
        results, problem = self.breaker.call(
            lambda: send_group(destination, group, self.policy), lambda sent: has_failed(sent[0])
        )
        if problem is None and destination.traffic.refusal is not None:
            problem = EndpointRefused(
                f"{self.name}: the endpoint refuses everything ({destination.traffic.refusal}); the rest was not sent",
                "check its address and credentials; what was not sent goes out with a later push",
            )
        return results, problem

    def _retry_at(self, result: SendResult) -> datetime | None:
        """Where the platform named a time, that; else doubling, with up to a tenth more, so that rows spread."""
        if result.outcome not in RETRIED:
            return None
        wait = result.retry_after
        if wait is None:
            doubled = self.push_settings.retry_seconds * 2.0 ** min(result.row.attempt - 1, 30)
            wait = min(doubled, self.push_settings.retry_max_seconds) * random.uniform(1.0, 1.1)
        return utc_now() + timedelta(seconds=wait)


def send_group(destination: Destination, rows: Sequence[OutboxRow], policy: CrashPolicy) -> Sent:
    """One result per row, whatever the destination does."""
    results: list[SendResult] = []
    problem: TriplineError | None = None
    try:
        in_doubt = [row for row in rows if policy is CrashPolicy.RECONCILE and row.previous_status in IN_DOUBT]
        found = destination.reconcile(in_doubt) if in_doubt else []
        results += [result for result in found if result.outcome is not Outcome.NOT_FOUND]
        missing = {result.row.idempotency_key for result in found if result.outcome is Outcome.NOT_FOUND}
        open_rows = [row for row in rows if row not in in_doubt or row.idempotency_key in missing]
        gone = [row for row in open_rows if not row.is_match_present]
        told = "the match is gone, or the user may not be told any more; nothing had arrived"
        results += [SendResult(row, Outcome.CANCELLED, answer=told) for row in gone]
        results += destination.send([row for row in open_rows if row.is_match_present])
    except Exception as error:  # a bug in one destination: its rows are in doubt, the other destinations go on
        problem = _broken(rows[0].destination, error)
    seen = {result.row.idempotency_key for result in results}
    lost = [row for row in rows if row.idempotency_key not in seen]
    return results + [SendResult(row, Outcome.UNKNOWN, answer="the destination did not say") for row in lost], problem


def _broken(name: str, error: Exception) -> DeliveryError:
    # Without the error's own words: they may hold a URL with its token.
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("destination %s broke: %s\n%s", name, type(error).__name__, frames)
    return DeliveryError(f"{name} broke: {type(error).__name__}", "see the log; this is a bug")


def has_failed(results: list[SendResult]) -> bool:
    return not any(result.outcome is Outcome.DELIVERED for result in results)
