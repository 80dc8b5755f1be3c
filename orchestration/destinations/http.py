"""One POST, and what its answer means for a retry; shared by the destinations that speak HTTP.

The waiting of a whole push at one endpoint is capped (`max_wait_seconds`): a push never hangs, what is left over
is taken up by a later one. An outcome in doubt is never retried here: whether the same key may be sent again is
the crash policy's to say, not the transport's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import httpx
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from orchestration.destinations.base import Capabilities
from orchestration.destinations.settings import PushSettings
from orchestration.errors import DeliveryError, PermanentDeliveryError, RetryableDeliveryError, UnknownOutcome

logger = logging.getLogger(__name__)

ANSWER_CHARS = 2_000  # of triggers.campaign_deliveries.answer
READ_BYTES = 16_384  # enough for the answer, in any encoding, with room for what is blotted out
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str


class Endpoint:
    """POSTs to one URL during one push. `secrets` are blotted out of everything this returns, raises or logs."""

    def __init__(
        self, url: httpx.URL, capabilities: Capabilities, settings: PushSettings, secrets: Iterable[str] = ()
    ) -> None:
        self.origin = origin_of(url)
        self._url = url
        self._capabilities = capabilities
        self._settings = settings
        self._secrets = sorted({*secrets, *secrets_of(url)} - {""}, key=len, reverse=True)
        self._client = httpx.Client(
            timeout=httpx.Timeout(settings.answer_timeout_seconds, connect=settings.connect_timeout_seconds),
            headers={"user-agent": "tripline", "accept-encoding": "identity"},
            follow_redirects=False,
        )
        self._lost_seconds = 0.0
        self._not_before = 0.0
        self._refusal: int | None = None
        _keep_logs_clean()

    def close(self) -> None:
        self._client.close()

    def post(self, body: bytes, make_headers: Callable[[], Mapping[str, str]]) -> Answer:
        """The answer (2xx). `make_headers` is called for every attempt, since a signature holds its time.

        Raises PermanentDeliveryError; RetryableDeliveryError when the attempts or the patience of this push are
        used up (`retry_after` in seconds, where the platform named one); UnknownOutcome.
        """
        self._refuse_in_vain()
        started = time.monotonic()
        try:
            for attempt in stamina.retry_context(
                on=lambda error: self._wait(error, started),
                attempts=self._settings.attempts,
                timeout=None,
                wait_initial=self._settings.backoff_seconds,
                wait_max=self._settings.backoff_max_seconds,
                wait_jitter=self._settings.backoff_seconds,
            ):
                with attempt:
                    return self._post_once(body, make_headers())
        except DeliveryError as error:
            self._remember(error, started)
            raise
        raise AssertionError("stamina either returns or raises")

    def _refuse_in_vain(self) -> None:
        """Raises RetryableDeliveryError where sending now would be useless or against the platform's wish."""
        if self._refusal is not None:
            raise RetryableDeliveryError(f"not sent: {self.origin} refused an earlier message with {self._refusal}")
        left = self._not_before - time.monotonic()
        if left > 0:
            raise RetryableDeliveryError(f"not sent: {self.origin} asked to wait", retry_after=left)
        if self._lost_seconds >= self._settings.max_wait_seconds:
            raise RetryableDeliveryError(
                f"not sent: {self.origin} had cost this push {self._lost_seconds:.0f} s",
            )

    def _wait(self, error: Exception, started: float) -> bool | float:
        """Whether stamina shall try again, and after how many seconds where the platform named a time."""
        if not isinstance(error, RetryableDeliveryError):
            return False
        patience = self._settings.max_wait_seconds - self._lost_seconds - (time.monotonic() - started)
        if patience <= 0 or (error.retry_after or 0) > patience:
            return False
        return True if error.retry_after is None else error.retry_after

    def _remember(self, error: DeliveryError, started: float) -> None:
        self._lost_seconds += time.monotonic() - started
        if isinstance(error, RetryableDeliveryError) and error.retry_after is not None:
            self._not_before = time.monotonic() + error.retry_after
        if error.http_status in self._capabilities.endpoint_statuses:
            self._refusal = error.http_status

    def _post_once(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                answer = Answer(response.status_code, self._read(response))
                retry_after = parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC))
        except NEVER_SENT as error:
            reason = self._clean(f"{type(error).__name__}: {error}")
            raise RetryableDeliveryError(f"{self.origin} cannot be reached", answer=reason) from None
        except httpx.TransportError as error:
            reason = self._clean(f"{type(error).__name__}: {error}")
            raise UnknownOutcome(f"{self.origin} gave no answer", answer=reason) from None
        if 200 <= answer.status < 300:
            return answer
        what = f"{self.origin} answered {answer.status}"
        if answer.status in self._capabilities.permanent_statuses:
            raise PermanentDeliveryError(what, http_status=answer.status, answer=answer.text)
        raise RetryableDeliveryError(what, http_status=answer.status, answer=answer.text, retry_after=retry_after)

    def _read(self, response: httpx.Response) -> str:
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
        return self._clean(body[:READ_BYTES].decode("utf-8", errors="replace"))

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text.replace("\x00", "")[:ANSWER_CHARS]


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait from a Retry-After header: delay in seconds or an HTTP date (RFC 9110, 10.2.3).

    None where the header is absent or unreadable; never negative; at most a day, so that a wrong clock at the
    platform does not park a row for good.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), 86_400.0)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return min(max((when - now).total_seconds(), 0.0), 86_400.0)


def origin_of(url: httpx.URL) -> str:
    """Scheme, host and port: all of a URL that may be shown, since hooks carry tokens in path, query and userinfo."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def secrets_of(url: httpx.URL) -> set[str]:
    """The parts of a URL that a platform might echo and nobody may read; short words of the query are no secrets."""
    path = url.raw_path.decode("ascii")
    query = url.query.decode("ascii")
    values = {value for pair in query.split("&") for value in (pair.partition("=")[2],) if len(value) >= 6}
    parts = {url.password, query, path if len(path) > 12 else "", url.userinfo.decode("ascii"), *values}
    return parts | {unquote(part) for part in parts}


class _OriginOnly(logging.Filter):
    """httpx logs the whole URL of every request at INFO."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(origin_of(a) if isinstance(a, httpx.URL) else a for a in record.args)
        return True


_ORIGIN_ONLY = _OriginOnly()


def _keep_logs_clean() -> None:
    logging.getLogger("httpx").addFilter(_ORIGIN_ONLY)
    # Where structlog is installed, stamina would print to standard output, which is where --json goes.
    set_on_retry_hooks([_log_retry])


def _log_retry(details: RetryDetails) -> None:
    logger.info("try %d again in %.1f s: %s", details.retry_num, details.wait_for, details.caused_by)
