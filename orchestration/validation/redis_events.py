"""Recent events in Redis, which several collectors share: a sorted set of a user's events by time, and their texts.

Every call has a time limit, and after a few that failed Redis is left alone for a while: nobody waits for a cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from pybreaker import CircuitBreaker, CircuitBreakerError
from redis import Redis, RedisError

from orchestration.validation.recent import EVENTS_OF_A_USER, RecentEvent, RecentEventsDown, read_event

T = TypeVar("T")
PREFIX = "tripline:recent:"
LIMIT_SECONDS = 0.25  # for connecting, and for an answer
FAILURES, REST_SECONDS = 3, 5.0
EVENTS_A_CALL = 500

# KEYS: the sorted set, the texts. ARGV: seconds before which events go, how many stay, seconds to live, then an id, a
# time and a text for each event. Answers 1 for each that was new. One script, so that the two keys always agree.
ADD = """
local answers = {}
for i = 4, #ARGV, 3 do
    local is_new = redis.call('ZADD', KEYS[1], 'NX', ARGV[i + 1], ARGV[i])
    if is_new == 1 then redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2]) end
    answers[#answers + 1] = is_new
end
local function forget(ids)
    for _, id in ipairs(ids) do
        redis.call('ZREM', KEYS[1], id)
        redis.call('HDEL', KEYS[2], id)
    end
end
forget(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1]))
forget(redis.call('ZRANGE', KEYS[1], 0, -ARGV[2] - 1))
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return answers
"""


class RedisRecentEvents:
    """`url` as redis-py takes it (redis://, rediss://, unix://), with the password if there is one."""

    def __init__(self, url: str, window_seconds: float) -> None:
        self.window_seconds = window_seconds
        self._redis = Redis.from_url(url, socket_timeout=LIMIT_SECONDS, socket_connect_timeout=LIMIT_SECONDS)
        self._add = self._redis.register_script(ADD)
        self._breaker = CircuitBreaker(fail_max=FAILURES, reset_timeout=REST_SECONDS)

    def add(self, events: Sequence[RecentEvent]) -> list[RecentEvent]:
        new: list[RecentEvent] = []
        for start in range(0, len(events), EVENTS_A_CALL):
            new += self._guarded(partial(self._add_some, events[start : start + EVENTS_A_CALL]))
        return new

    def _add_some(self, events: Sequence[RecentEvent]) -> list[RecentEvent]:
        by_identity: dict[str, list[RecentEvent]] = {}
        for event in events:
            for identity in event.identities:
                by_identity.setdefault(identity, []).append(event)
        pipeline = self._redis.pipeline(transaction=False)
        for identity, its in by_identity.items():
            values = [value for event in its for value in (event.copy_id, repr(event.received_at), event.line)]
            bounds = [time.time() - self.window_seconds, EVENTS_OF_A_USER, int(self.window_seconds) + 1]
            self._add(keys=_keys(identity), args=[*bounds, *values], client=pipeline)
        new: dict[str, RecentEvent] = {}
        for its, answers in zip(by_identity.values(), pipeline.execute(), strict=True):
            new |= {event.copy_id: event for event, is_new in zip(its, answers, strict=True) if is_new}
        return list(new.values())

    def of(self, identity: str) -> list[RecentEvent]:
        return self._guarded(partial(self._of, identity))

    def _of(self, identity: str) -> list[RecentEvent]:
        times, texts = _keys(identity)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zrangebyscore(times, time.time() - self.window_seconds, "+inf", withscores=True)
        pipeline.hgetall(texts)
        placed, held = pipeline.execute()
        events = (read_event(held[copy_id], received_at) for copy_id, received_at in placed if copy_id in held)
        return [event for event in events if event is not None]

    def _guarded(self, call: Callable[[], T]) -> T:
        try:
            return self._breaker.call(call)
        except (RedisError, CircuitBreakerError) as error:
            # Without its own words, which can hold the address with its password.
            raise RecentEventsDown(type(error).__name__) from None

    def close(self) -> None:
        self._redis.close()


def _keys(identity: str) -> list[str]:
    return [f"{PREFIX}{{{identity}}}:{kind}" for kind in ("at", "text")]  # braces: one shard of a cluster has both
