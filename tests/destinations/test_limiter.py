"""The rate limiter, apart from any platform."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestration.destinations.base import RateLimit
from orchestration.destinations.limiter import RateLimiter, even_rate, strictest
from orchestration.destinations.traffic import Traffic

LIMITS = st.builds(RateLimit, st.integers(1, 100_000), st.floats(0.01, 90_000))


@given(st.lists(LIMITS, min_size=1, max_size=4), st.floats(0.01, 1.0))
def test_windows_in_any_order_and_ones_that_say_nothing_new_are_all_accepted(
    limits: list[RateLimit], share: float
) -> None:
    with RateLimiter(limits, share, Traffic()).turn():
        pass


@given(st.lists(LIMITS, min_size=1, max_size=4))
def test_requests_spread_evenly_by_the_strictest_window_keep_every_other(limits: list[RateLimit]) -> None:
    chosen = strictest(limits)
    spacing = chosen.seconds / chosen.requests
    for limit in limits:
        assert limit.seconds / spacing <= limit.requests * (1 + 1e-9)


PLATFORMS = st.builds(RateLimit, st.integers(1, 1_000_000), st.floats(1.0, 90_000))


@given(st.lists(PLATFORMS, min_size=1, max_size=4), st.floats(0.01, 1.0))
@example([RateLimit(10, 1), RateLimit(250_000, 86_400)], 1.0)
def test_no_window_of_any_limit_sees_more_than_it_allows_however_much_room_another_has(
    limits: list[RateLimit], share: float
) -> None:
    rate = even_rate(limits, share)
    for limit in limits:
        most = int(1000 * limit.seconds * rate.limit / rate.interval) + rate.burst
        assert most <= limit.requests


def test_a_limit_of_one_kind_of_request_does_not_hold_up_the_others() -> None:
    traffic = Traffic()
    limiter = RateLimiter([RateLimit(1, 3_600, scope="upsert")], 1.0, traffic)
    for scope in ("upsert", "event", ""):
        with limiter.turn(scope):
            pass


def test_requests_that_the_network_holds_up_still_keep_every_window_of_the_platform() -> None:
    requests, seconds, way = 5, 0.5, 0.01
    limiter = RateLimiter([RateLimit(requests, seconds)], 1.0, Traffic())
    arrivals: list[float] = []
    hold_ups = iter(Random(7).choices([0.0, 0.0, 0.1, 0.3], k=32))

    def send(_: int) -> None:
        with limiter.turn():
            time.sleep(way + next(hold_ups))
            arrivals.append(time.monotonic())
            time.sleep(way)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(32)))
    arrivals.sort()
    assert min(later - earlier for earlier, later in zip(arrivals, arrivals[requests:], strict=False)) >= seconds


def test_a_request_without_an_answer_takes_one_place_and_not_the_window() -> None:
    limiter = RateLimiter([RateLimit(2, 0.1)], 1.0, Traffic())
    with limiter.turn():
        for _ in range(5):
            with limiter.turn():
                pass


def test_a_request_that_fails_gives_its_place_back() -> None:
    limiter = RateLimiter([RateLimit(1, 0.05)], 1.0, Traffic())
    for _ in range(3):
        with pytest.raises(OSError), limiter.turn():
            raise OSError
    with limiter.turn() as waited:
        assert waited > 0
