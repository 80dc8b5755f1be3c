"""A circuit breaker per destination: after so many groups of rows in a row of which none arrived, it is left alone.

The breaker is pybreaker's; what it knew when the last process ended, the delivery log tells. After the cool-off one
group of rows is sent as a probe: if any of it arrives the circuit is closed, else it is open again, for twice as long.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, timedelta
from typing import TypeVar

from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker, CircuitMemoryStorage

from orchestration.delivery_log import Failures, utc_now
from orchestration.destinations.settings import PushSettings

T = TypeVar("T")


class _Failed(Exception):
    """Tells the breaker, and nobody else, that a group failed."""


class Breaker:
    """One destination's. `failures`: what the log says of it; None where its latest group arrived."""

    def __init__(self, failures: Failures | None, settings: PushSettings) -> None:
        groups = failures.groups if failures else 0
        is_open = groups >= settings.breaker_failures
        storage = CircuitMemoryStorage(STATE_OPEN if is_open else STATE_CLOSED)
        for _ in range(min(groups, settings.breaker_failures)):
            storage.increment_counter()
        beyond = max(groups - settings.breaker_failures, 0)
        self.cool_off_seconds = min(
            settings.breaker_cool_off_seconds * 2.0 ** min(beyond, 30), settings.breaker_cool_off_max_seconds
        )
        self._last_at = failures.last_at if failures else None
        if is_open and failures:
            storage.opened_at = failures.last_at.replace(tzinfo=UTC)
        self._breaker = CircuitBreaker(
            fail_max=settings.breaker_failures,
            reset_timeout=self.cool_off_seconds,
            state_storage=storage,
            throw_new_error_on_trip=False,
        )

    @property
    def is_open(self) -> bool:
        """Nothing may be sent now."""
        if self._breaker.current_state != STATE_OPEN or self._last_at is None:
            return False
        return utc_now() < self._last_at + timedelta(seconds=self.cool_off_seconds)

    @property
    def is_probing(self) -> bool:
        """The cool-off is over and nothing arrived yet: one group is to be sent, no more."""
        return self._breaker.current_state in (STATE_OPEN, STATE_HALF_OPEN) and not self.is_open

    def call(self, send: Callable[[], T], has_failed: Callable[[T], bool]) -> T:
        """What `send` returns; the circuit closes or opens by `has_failed` of it. Raises what `send` raises."""
        results: list[T] = []

        def attempt() -> None:
            results.append(send())
            if has_failed(results[0]):
                self._last_at = utc_now()
                raise _Failed

        with suppress(_Failed):
            self._breaker.call(attempt)
        return results[0]
