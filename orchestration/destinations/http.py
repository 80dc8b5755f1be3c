"""One HTTP call, and what its answer means for a retry; shared by the destinations that speak HTTP.

The waiting of a whole push at one platform is capped (`max_wait_seconds`, waits for a rate limit not counted): a push
never hangs, what is left over is taken up by a later one. An outcome in doubt is never retried here: whether the same
key may be sent again is the crash policy's to say, not the transport's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from orchestration.destinations.base import Capabilities
from orchestration.destinations.limiter import RateLimiter
from orchestration.destinations.secrets import Redactor, keep_logs_clean, origin_of, secrets_of
from orchestration.destinations.settings import PushSettings
from orchestration.destinations.traffic import Traffic
from orchestration.destinations.wire import Answer, Authorize, Judge, Meaning, Request, Verdict, wait_of
from orchestration.errors import (
    DeliveryError,
    EndpointRefused,
    PermanentDeliveryError,
    RequestTooLarge,
    RetryableDeliveryError,
    UnknownOutcome,
)

logger = logging.getLogger(__name__)

ANSWER_CHARS = 2_000  # of triggers.campaign_deliveries.answer
READ_BYTES = 4 * 1024 * 1024  # enough for a word on each row of the largest batch (Segment: 2,500)
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

Renew = Callable[[Mapping[str, str]], None]
"""Forgets the token that made the given headers, so that the next attempt fetches another."""


@dataclass
class _Call:
    """One `send`, over all its attempts. Times in seconds, `started` monotonic."""

    started: float
    waited: float = 0.0

    def lost(self) -> float:
        """What failures cost so far; keeping within a rate limit is no failure."""
        return time.monotonic() - self.started - self.waited


class HttpClient:
    """Calls one platform during one push, from any number of threads.

    `name` is the destination's. `secrets`, and what is secret in `base_url`, are blotted out of everything this
    returns, raises or logs; `redactor.add` teaches it more. `authorize` makes the headers of one attempt.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        capabilities: Capabilities,
        settings: PushSettings,
        *,
        secrets: Iterable[str] = (),
        authorize: Authorize = lambda request: {},
        judge: Judge | None = None,
        renew: Renew | None = None,
    ) -> None:
        self.base_url = base_url
        url = httpx.URL(base_url)
        self.origin = origin_of(url)
        self.traffic = Traffic()
        self.redactor = Redactor({*secrets, *secrets_of(url)})
        self.authorize, self.renew = authorize, renew
        self._judge = judge or judge_by_status(capabilities)
        self._settings = settings
        self._limiter = RateLimiter(settings.limits_of(name, capabilities), settings.share_of(name), self.traffic)
        self._client = httpx.Client(
            timeout=httpx.Timeout(settings.answer_timeout_seconds, connect=settings.connect_timeout_seconds),
            limits=httpx.Limits(max_connections=max(capabilities.max_concurrency, 1)),
            headers={"user-agent": "tripline", "accept-encoding": "identity"},
            follow_redirects=False,
        )
        self._lock = threading.Lock()
        self._lost_seconds = 0.0
        keep_logs_clean()
        # Where structlog is installed, stamina would print to standard output, which is where --json goes.
        set_on_retry_hooks([_log_retry])

    def close(self) -> None:
        self._client.close()

    def send(self, request: Request) -> Answer:
        """The answer to a request that the platform worked on (Meaning.TAKEN).

        Raises PermanentDeliveryError, RequestTooLarge and EndpointRefused as the judge says; RetryableDeliveryError
        when the attempts or the patience of this push are used up (`retry_after` in seconds, where the platform named
        a time); UnknownOutcome.
        """
        call = _Call(time.monotonic())
        try:
            for attempt in stamina.retry_context(
                on=lambda error: self._wait(error, call),
                attempts=self._settings.attempts,
                timeout=None,
                wait_initial=self._settings.backoff_seconds,
                wait_max=self._settings.backoff_max_seconds,
                wait_jitter=self._settings.backoff_seconds,
            ):
                with attempt:
                    self._refuse_in_vain()
                    return self._attempt(request, call, is_retry=attempt.num > 1)
        except DeliveryError:
            with self._lock:
                self._lost_seconds += call.lost()
            raise
        raise AssertionError("stamina either returns or raises")

    def _refuse_in_vain(self) -> None:
        """Raises where sending now would be useless."""
        if self.traffic.refusal is not None:
            raise EndpointRefused(f"not sent: {self.traffic.refusal}")
        if self._lost_seconds >= self._settings.max_wait_seconds:
            raise RetryableDeliveryError(f"not sent: {self.origin} had cost this push {self._lost_seconds:.0f} s")

    def _patience(self, call: _Call) -> float:
        return self._settings.max_wait_seconds - self._lost_seconds - call.lost()

    def _wait(self, error: Exception, call: _Call) -> bool | float:
        """Whether stamina shall try again, and after how many seconds where the platform named a time."""
        if not isinstance(error, RetryableDeliveryError):
            return False
        patience = self._patience(call)
        if patience <= 0 or (error.retry_after or 0) > patience:
            return False
        return True if error.retry_after is None else error.retry_after

    @contextmanager
    def _turn(self, request: Request, call: _Call) -> Iterator[None]:
        """Waits until the limits allow a request, and until the platform does where it asked for a pause."""
        left = self._limiter.paused_seconds()
        if left > self._patience(call):
            raise RetryableDeliveryError(f"not sent: {self.origin} asked to wait", retry_after=left)
        if left > 0:
            time.sleep(left)
            self.traffic.count(waited=left)
        with self._limiter.turn(request.scope) as waited:
            call.waited += left + waited
            yield

    def _attempt(self, request: Request, call: _Call, *, is_retry: bool) -> Answer:
        answer, verdict = self._exchange(request, call, is_retry=is_retry)
        if verdict.meaning is Meaning.TAKEN:
            return answer
        what = verdict.reason or f"{self.origin} answered {answer.status}"
        told = answer.text or what
        match verdict.meaning:
            case Meaning.LATER | Meaning.LIMITED:
                raise RetryableDeliveryError(what, http_status=answer.status, answer=told, retry_after=verdict.wait)
            case Meaning.REFUSED:
                raise PermanentDeliveryError(what, http_status=answer.status, answer=told)
            case Meaning.TOO_LARGE:
                raise RequestTooLarge(what, http_status=answer.status, answer=told)
            case Meaning.IN_DOUBT:
                raise UnknownOutcome(what, http_status=answer.status, answer=told)
            case _:
                self.traffic.refusal = f"{what}: {answer.text[:200]}" if answer.text else what
                raise EndpointRefused(what, http_status=answer.status, answer=told)

    def _exchange(self, request: Request, call: _Call, *, is_retry: bool) -> tuple[Answer, Verdict]:
        """One attempt; two where the token had expired, whether or not the attempts are used up."""
        for is_second in (False, True):
            with self._turn(request, call):
                headers = self.authorize(request)
                started = time.monotonic()
                self.traffic.count(requests=1, retries=int(is_retry or is_second))
                answer = self._once(request, headers)
                self.traffic.count(latency=time.monotonic() - started)
            verdict = self._judge(answer)
            if verdict.wait:
                self._limiter.pause(verdict.wait)
            self.traffic.count(limited=int(verdict.meaning is Meaning.LIMITED))
            if verdict.meaning is not Meaning.EXPIRED or self.renew is None or is_second:
                break
            self.renew(headers)
        return answer, verdict

    def _once(self, request: Request, headers: Mapping[str, str]) -> Answer:
        url = self.base_url + request.path
        try:
            with self._client.stream(
                request.method, url, content=request.body or None, headers={**request.headers, **headers}
            ) as response:
                body = self._read(response)
        except NEVER_SENT as error:
            reason = self._clean(f"{type(error).__name__}: {error}")
            raise RetryableDeliveryError(f"{self.origin} cannot be reached", answer=reason) from None
        except httpx.TransportError as error:
            reason = self._clean(f"{type(error).__name__}: {error}")
            raise UnknownOutcome(f"{self.origin} gave no answer", answer=reason) from None
        text = self._clean(body[: 8 * ANSWER_CHARS].decode("utf-8", errors="replace"))
        return Answer(response.status_code, text, {k.lower(): v for k, v in response.headers.items()}, bytes(body))

    def _read(self, response: httpx.Response) -> bytearray:
        """The first of the body. The status is in hand: a body that is cut, slow or endless changes nothing."""
        body = bytearray()
        deadline = time.monotonic() + self._settings.answer_timeout_seconds
        try:
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) >= READ_BYTES or time.monotonic() > deadline:
                    break
        except (httpx.TransportError, httpx.DecodingError):
            pass
        return body[:READ_BYTES]

    def _clean(self, text: str) -> str:
        return self.redactor.clean(text)[:ANSWER_CHARS]


def judge_by_status(capabilities: Capabilities, expired: frozenset[int] = frozenset()) -> Judge:
    """What a status means by itself. `expired`: statuses that a renewed token may mend."""

    def judge(answer: Answer) -> Verdict:
        status = answer.status
        if answer.is_ok:
            return Verdict(Meaning.TAKEN)
        if status in expired:
            return Verdict(Meaning.EXPIRED)
        if status in capabilities.endpoint_statuses:
            return Verdict(Meaning.STOP)
        if status == 413:
            return Verdict(Meaning.TOO_LARGE)
        if status in capabilities.permanent_statuses:
            return Verdict(Meaning.REFUSED)
        return Verdict(Meaning.LIMITED if status == 429 else Meaning.LATER, wait_of(answer))

    return judge


def _log_retry(details: RetryDetails) -> None:
    logger.info("try %d again in %.1f s: %s", details.retry_num, details.wait_for, details.caused_by)
