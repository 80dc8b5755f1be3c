"""A request, its answer, and what the answer means: the words that a platform's module and the client share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

LONGEST_WAIT_SECONDS = 86_400.0  # so that a wrong clock at a platform does not park a row for good


@dataclass(frozen=True, slots=True)
class Request:
    """One call, without credentials: those are added at every attempt (`HttpClient.authorize`).

    `path` is appended to the client's base URL. `scope` names the rate limits that count it beside the general ones.
    """

    path: str = ""
    body: bytes = b""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    scope: str = ""

    @staticmethod
    def of_json(
        path: str, value: Any, *, method: str = "POST", headers: Mapping[str, str] | None = None, scope: str = ""
    ) -> Request:
        """`value` as compact UTF-8 JSON; a content type in `headers` wins over application/json."""
        body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
        return Request(path, body, method, {"content-type": "application/json", **(headers or {})}, scope)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `headers` have lower-case names. `text` is for people: cut, and without secrets."""

    status: int
    text: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body parsed; None where it is no JSON or was cut."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Meaning(StrEnum):
    TAKEN = "taken"  # the platform worked on the request; what it says of single rows is for `decode`
    REFUSED = "refused"  # the same request can never succeed; a batch is halved to find out whose fault it is
    TOO_LARGE = "too_large"  # fewer rows might pass
    LATER = "later"  # nothing happened; worth trying again, after `wait` where the platform names a time
    LIMITED = "limited"  # LATER, because of a rate limit or quota
    EXPIRED = "expired"  # the token is no longer good: renewed once, then taken for STOP
    STOP = "stop"  # credentials or endpoint: nothing can be sent until a person acts
    IN_DOUBT = "in_doubt"  # it may have taken effect


@dataclass(frozen=True, slots=True)
class Verdict:
    """`wait` is in seconds: before another try, or with TAKEN before the next request (a window that is used up)."""

    meaning: Meaning
    wait: float | None = None
    reason: str = ""
    """In a person's words, where the answer's own text says too little."""


Judge = Callable[[Answer], Verdict]
Authorize = Callable[[Request], Mapping[str, str]]
"""The headers of one attempt: credentials, signatures with their time."""


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait from a Retry-After header: delay in seconds or an HTTP date (RFC 9110, 10.2.3).

    None where the header is absent or unreadable; never negative; at most a day.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_WAIT_SECONDS)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), LONGEST_WAIT_SECONDS)


def wait_until_epoch(value: str | None, now: datetime) -> float | None:
    """Seconds until a header's UTC epoch seconds, as in `X-RateLimit-Reset`; None where it is absent or unreadable."""
    try:
        moment = float(value or "")
    except ValueError:
        return None
    return min(max(moment - now.timestamp(), 0.0), LONGEST_WAIT_SECONDS)


def wait_of(answer: Answer) -> float | None:
    """Seconds from the answer's Retry-After header."""
    return parse_retry_after(answer.headers.get("retry-after"), datetime.now(UTC))
