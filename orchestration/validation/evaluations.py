"""Who asks for an evaluation, and the thread that does them: together, for planning the SQL takes most of the time."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

import duckdb

from orchestration.delivery_log import utc_now
from orchestration.errors import TriplineError
from orchestration.project_files import project_fingerprint
from orchestration.settings import Settings
from orchestration.validation.evaluator import Evaluation, Evaluator, Row
from orchestration.validation.rules import rules_file

logger = logging.getLogger(__name__)

LOOK_SECONDS = 5.0  # between looks at the project's files
MOST_TOGETHER = 20_000  # events
MOST_WAITING = 500  # askers; more are told to come back


class NotReady(Exception):
    """The rules are being compiled, cannot be, or too many ask."""


@dataclass(frozen=True)
class Asked:
    """Events, one a line, and the ids that they name: what may be evaluated together shares none. `at` is UTC without
    zone; None is the moment at which it is evaluated."""

    lines: Sequence[bytes]
    identities: frozenset[str]
    at: datetime | None = None
    answered: Future[Answer] = field(default_factory=Future)


@dataclass(frozen=True)
class Answer:
    """`first_line`: the number of the asker's first line in `evaluation.rows`."""

    evaluation: Evaluation
    at: datetime
    version: str
    first_line: int


@dataclass(frozen=True)
class AskedForCrossings:
    """Events of any users; `first_new`: the number of the first line, from 1, that was not looked at before."""

    lines: Sequence[bytes]
    first_new: int
    answered: Future[list[Row]] = field(default_factory=Future)


Waiting = Asked | AskedForCrossings


class Evaluations:
    """Compiles the rules when somebody asks first, and again when the project's files have changed; until then the
    older ones answer."""

    def __init__(self, settings: Settings, on_rules: Callable[[Evaluator], None]) -> None:
        self._settings, self._on_rules = settings, on_rules
        self._queue: queue.Queue[Waiting | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="evaluations", daemon=True)
        self._lock = threading.Lock()
        self._is_started = self._is_ending = False
        self._evaluator: Evaluator | None = None
        self._next: Evaluator | None = None
        self._compiling: threading.Thread | None = None
        self._fingerprint = ""
        self._looked_at = -LOOK_SECONDS
        self.problem = ""

    def ask(self, asked: Asked) -> Future[Answer]:
        """Raises NotReady. The future may end with it too, or with what DuckDB says of these very events."""
        self._put(asked)
        return asked.answered

    def ask_for_crossings(self, asked: AskedForCrossings) -> Future[list[Row]]:
        """As `ask`; columns of validation_crossings.sql."""
        self._put(asked)
        return asked.answered

    def _put(self, asked: Waiting) -> None:
        with self._lock:
            if self._is_ending:
                raise NotReady("the collector is stopping")
            if not self._is_started:
                self._is_started = True
                self._thread.start()
        try:
            self._queue.put_nowait(asked)
        except queue.Full:
            raise NotReady("too many ask at once") from None

    def close(self) -> None:
        with self._lock:
            self._is_ending = True
        if self._is_started:
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        left: list[Waiting] = []
        while not self._is_ending:
            left += self._waiting(is_patient=not left)
            self._look()
            if not left:
                continue
            if self._evaluator is None:
                for asked in left:
                    _fail(asked, NotReady(self.problem or "the trigger SQL is being compiled"))
                left = []
                continue
            if isinstance(first := left[0], AskedForCrossings):
                self._find_crossings(first)
                left = left[1:]
            else:
                together, left = _choose(left)
                self._evaluate(together)
        for asked in left + self._waiting(is_patient=False):
            _fail(asked, NotReady("the collector is stopping"))
        if self._evaluator:
            self._evaluator.close()

    def _waiting(self, *, is_patient: bool) -> list[Waiting]:
        found = [self._queue.get()] if is_patient else []
        while True:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                return [asked for asked in found if asked is not None]

    def _evaluate(self, together: list[Asked]) -> None:
        assert self._evaluator is not None
        if not together:
            return
        at = together[0].at or utc_now()
        try:
            evaluation = self._evaluator.evaluate(b"".join(_text(asked) for asked in together), at)
        except duckdb.Error as error:
            if len(together) == 1:
                _fail(together[0], error)
            for asked in together if len(together) > 1 else []:  # one's events are no reason to fail the others
                self._evaluate([asked])
            return
        line = 1
        for asked in together:
            if asked.answered.set_running_or_notify_cancel():
                asked.answered.set_result(Answer(evaluation, at, self._evaluator.version, line))
            line += len(asked.lines)

    def _find_crossings(self, asked: AskedForCrossings) -> None:
        assert self._evaluator is not None
        try:
            found = self._evaluator.crossings(_text(asked), utc_now(), asked.first_new)
        except duckdb.Error as error:
            _fail(asked, error)
        else:
            if asked.answered.set_running_or_notify_cancel():
                asked.answered.set_result(found)

    def _look(self) -> None:
        """Takes newly compiled rules into use, and has them compiled where the files are not what they were."""
        if self._next is not None:
            if self._evaluator:
                self._evaluator.close()
            self._evaluator, self._next, self.problem = self._next, None, ""
            self._on_rules(self._evaluator)
        if self._compiling and self._compiling.is_alive():
            return
        if time.monotonic() < self._looked_at + LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        fingerprint = project_fingerprint()
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self._compiling = threading.Thread(target=self._compile, name="rules", daemon=True)
            self._compiling.start()

    def _compile(self) -> None:
        try:
            self._next = Evaluator(rules_file(self._settings), self._settings)
        except (TriplineError, duckdb.Error, OSError) as error:
            self.problem = str(error)
            logger.error("triggers are evaluated with the rules as they were: %s", error)


def _choose(waiting: list[Waiting]) -> tuple[list[Asked], list[Waiting]]:
    """Who can be evaluated together with the first in line, and who is left."""
    together: list[Asked] = []
    left: list[Waiting] = []
    identities: set[str] = set()
    events = 0
    for asked in waiting:
        if not isinstance(asked, Asked):
            left.append(asked)
            continue
        fits = not together or (asked.at == together[0].at and events + len(asked.lines) <= MOST_TOGETHER)
        if fits and identities.isdisjoint(asked.identities):
            together.append(asked)
            events += len(asked.lines)
        else:
            left.append(asked)
        identities |= asked.identities  # whoever came first is answered first
    return together, left


def _text(asked: Waiting) -> bytes:
    return b"".join(line + b"\n" for line in asked.lines)


def _fail(asked: Waiting, error: Exception) -> None:
    if asked.answered.set_running_or_notify_cancel():
        asked.answered.set_exception(error)
