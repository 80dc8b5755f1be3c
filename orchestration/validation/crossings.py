"""Looks at what was just acknowledged, and asks for a batch at once where somebody has crossed a threshold.

The look is at recent events alone: it fires nothing, and whatever it misses the next batch finds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError

import duckdb

from orchestration.validation.evaluations import AskedForCrossings, Evaluations, NotReady
from orchestration.validation.recent import RecentEvent, RecentEvents, RecentEventsDown, gather, read_event

logger = logging.getLogger(__name__)

COALESCE_SECONDS = 0.1  # what a page sends at once is looked at once
NOT_READY_SECONDS = 1.0  # between looks at whether the rules are compiled
SHARE = 0.15  # of the time may go into looks: taking events comes first
MOST_NOTED = 10_000  # lines that wait for a look; more are not looked at
MOST_USERS = 500  # a look
MOST_EVENTS = 20_000  # a look
CHUNK, BREATH_SECONDS = 200, 0.0005  # lines are read in chunks, between which whoever takes events has the interpreter

Tell = Callable[[str, int], None]
"""A word and a count, for the metrics: noted, dropped, copies, looks, crossings, store_failures, failures."""


class Crossings:
    """`ask_for_batch` is called from the thread of this object, with how many thresholds were crossed."""

    def __init__(
        self, recent: RecentEvents, evaluations: Evaluations, ask_for_batch: Callable[[int], None], tell: Tell
    ) -> None:
        self._recent, self._evaluations = recent, evaluations
        self._ask_for_batch, self._tell = ask_for_batch, tell
        self._noted: deque[tuple[bytes, float]] = deque()
        self._waiting: dict[str, list[RecentEvent]] = {}  # new events by user, not looked at yet
        self._changed = threading.Condition()
        self._taking = threading.Lock()
        self._is_ending = False
        self._thread = threading.Thread(target=self._run, name="crossings", daemon=True)
        self._is_started = False

    def note(self, lines: Sequence[bytes]) -> None:
        """Lines that were acknowledged just now. Takes no time, and drops what is too much."""
        received_at = time.time()
        with self._changed:
            free = max(MOST_NOTED - len(self._noted), 0)
            self._noted.extend((line, received_at) for line in lines[:free])
            if not self._is_started:
                self._is_started = True
                self._thread.start()
            self._changed.notify()
        self._tell("noted", min(len(lines), free))
        if len(lines) > free:
            self._tell("dropped", len(lines) - free)

    def store_noted(self) -> None:
        """Brings what was noted to the store now, so that whoever asks next finds it. Raises RecentEventsDown."""
        with self._taking:
            with self._changed:
                noted = [self._noted.popleft() for _ in range(len(self._noted))]
            self._store(noted)

    def close(self) -> None:
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        if self._is_started:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._noted or self._waiting or self._is_ending)
                if self._is_ending:
                    return
            time.sleep(COALESCE_SECONDS)
            started, least = time.monotonic(), 0.0
            try:
                self.store_noted()
                self._look()
            except RecentEventsDown as error:
                with self._taking:
                    self._waiting.clear()
                self._tell("store_failures", 1)
                logger.warning("recent events: %s; batches start by the clock meanwhile", error)
            except (NotReady, CancelledError):
                least = NOT_READY_SECONDS
            except duckdb.Error as error:
                self._tell("failures", 1)
                logger.error("recent events could not be evaluated: %s", type(error).__name__)
            self._rest(max(least, (time.monotonic() - started) * (1 / SHARE - 1)))

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_ending, timeout=seconds)

    def _store(self, noted: Sequence[tuple[bytes, float]]) -> None:
        new: list[RecentEvent] = []
        for start in range(0, len(noted), CHUNK):
            chunk = noted[start : start + CHUNK]
            read = [event for event in (read_event(line, at) for line, at in chunk) if event is not None]
            added = self._recent.add(read)
            new += added
            if copies := len(read) - len(added):
                self._tell("copies", copies)
            time.sleep(BREATH_SECONDS)
        free = max(MOST_NOTED - sum(map(len, self._waiting.values())), 0)  # while the rules are being compiled
        for event in new[:free]:
            self._waiting.setdefault(event.identities[0], []).append(event)

    def _look(self) -> None:
        while not self._is_ending:
            with self._taking:
                taken = {user: self._waiting.pop(user) for user in list(self._waiting)[:MOST_USERS]}
            if not taken:
                return
            try:
                self._look_at(list(taken), [event for events in taken.values() for event in events])
            except NotReady:
                with self._taking:
                    for user, events in taken.items():
                        self._waiting[user] = events + self._waiting.get(user, [])
                raise

    def _look_at(self, users: Sequence[str], new: Sequence[RecentEvent]) -> None:
        known = {event.copy_id for event in new}
        earlier = [event for copy_id, event in gather(self._recent, users).items() if copy_id not in known]
        lines = [event.line for event in [*earlier, *new]]
        if len(lines) > MOST_EVENTS and len(users) > 1:
            half = len(users) // 2
            for some in (users[:half], users[half:]):
                self._look_at(some, [event for event in new if event.identities[0] in set(some)])
            return
        self._tell("looks", 1)
        found = self._evaluations.ask_for_crossings(AskedForCrossings(lines, len(earlier) + 1)).result()
        if found:
            self._tell("crossings", len(found))
            self._ask_for_batch(len(found))
