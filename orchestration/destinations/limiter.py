"""Keeping within a platform's rate limits: every window of it, requests spread evenly.

An account-wide window of n requests is used at n evenly spaced ones (GCRA), not as n at once and a wait: a platform
counts at the moment of arrival, and what the network bunches together must not look like more than n in any window.
HEADROOM and JITTER_SECONDS are what that jitter may take; they cost so much of the throughput. What is held up for
longer is met by counting: a request may have arrived at any moment until it was answered, so it counts as one of the
window's n until a window after its answer, and no request departs that would be one too many even then.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from pyrate_limiter import GCRA, Limiter, Rate, StateBucket

from orchestration.destinations.base import RateLimit
from orchestration.destinations.traffic import Traffic

HEADROOM = 0.02
JITTER_SECONDS = 0.04  # where the window is so short that two hundredths of it are less; at most as much again
LATE_SECONDS = 0.01  # a thread may wake so long after it should


class RateLimiter:
    """The limits of one destination, shared by its threads. `share` is the part of each that may be used (0, 1]."""

    def __init__(self, limits: Sequence[RateLimit], share: float, traffic: Traffic) -> None:
        self._traffic = traffic
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._windows = [(limit.scope, Window(limit)) for limit in limits]
        scopes = {limit.scope for limit in limits}
        self._limiters = {scope: _limiter([one for one in limits if one.scope == scope], share) for scope in scopes}

    def pause(self, seconds: float) -> None:
        """Nothing is sent before so many seconds have passed: the platform said so."""
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def paused_seconds(self) -> float:
        with self._lock:
            return max(self._not_before - time.monotonic(), 0.0)

    @contextmanager
    def turn(self, scope: str = "") -> Iterator[float]:
        """Around one request and its answer: blocks until it may depart, yields the seconds that took."""
        started = time.monotonic()
        for name in dict.fromkeys(("", scope)):
            if name in self._limiters:
                self._limiters[name].try_acquire(name or "all")
        with ExitStack() as held:
            for name, window in self._windows:
                if name in ("", scope):
                    held.enter_context(window.place())
            waited = time.monotonic() - started
            self._traffic.count(waited=waited)
            yield waited


class Window:
    """Counts the requests that the platform may have seen in the last `limit.seconds`, late ones too.

    Half the shortest round trip is taken off the time a place is held after the answer: the answer had a way to go,
    and so has the next request. (All of it would be too much where its two halves are not short at the same time.)
    """

    def __init__(self, limit: RateLimit) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._in_flight = 0
        self._answered: deque[float] = deque()
        self._shortest = limit.seconds

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the window's `limit.requests`, held until its answer and for a window after it."""
        with self._changed:
            while (wait := self._wait_seconds()) != 0.0:
                self._changed.wait(wait)
            self._in_flight += 1
        departed = time.monotonic()
        try:
            yield
        finally:
            answered = time.monotonic()
            with self._changed:
                self._in_flight -= 1
                self._answered.append(answered)
                self._shortest = min(self._shortest, answered - departed)
                self._changed.notify_all()

    def _wait_seconds(self) -> float | None:
        """0 where a place is free; None where only an answer can free one."""
        held = self._limit.seconds - self._shortest / 2
        now = time.monotonic()
        while self._answered and self._answered[0] + held <= now:
            self._answered.popleft()
        if self._in_flight + len(self._answered) < self._limit.requests:
            return 0.0
        return self._answered[0] + held - now if self._answered else None


def strictest(limits: Sequence[RateLimit]) -> RateLimit:
    """The one that keeps all of them: of requests sent evenly, the window with the fewest a second decides."""
    return max(limits, key=lambda limit: limit.seconds / limit.requests)


def _limiter(limits: Sequence[RateLimit], share: float) -> Limiter:
    return Limiter(StateBucket([even_rate(limits, share)], GCRA()), buffer_ms=0)


def even_rate(limits: Sequence[RateLimit], share: float) -> Rate:
    """The rate that keeps all of the limits, with room to spare in each. Its interval is in milliseconds."""
    limit = strictest(limits)
    # Stretching the interval, not cutting the count, keeps 1 request a window possible whatever the share.
    interval = max(1, round(1000 * (limit.seconds + _spare_seconds(limit)) / share))
    return Rate(limit.requests, interval, burst=min(_burst(one) for one in limits))


def _spare_seconds(limit: RateLimit) -> float:
    return max(limit.seconds * HEADROOM, min(JITTER_SECONDS, limit.seconds * 2 * HEADROOM))


def _burst(limit: RateLimit) -> int:
    """Requests that may follow each other at once: what a thread that woke LATE_SECONDS late makes up for, which with a
    burst of one would be lost for good. Never more than half of what the window's spare time leaves room for."""
    room = round(limit.requests * _spare_seconds(limit) / limit.seconds / 2)
    return max(1, min(room, max(2, round(limit.requests / limit.seconds * LATE_SECONDS))))
