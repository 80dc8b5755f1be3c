"""The rate limiter, apart from any platform."""

from __future__ import annotations

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
    RateLimiter(limits, share, Traffic()).acquire()


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
    limiter.acquire("upsert")
    limiter.acquire("event")
    limiter.acquire()
