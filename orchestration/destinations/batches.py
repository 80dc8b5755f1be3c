"""Sending rows in batches: cut by count and bytes, halved around what is refused, answered for row by row.

A platform's module says how rows become a request (`encode`) and what the answer says of each (`decode`); everything
that can go wrong between the two is settled here, the same for all of them.
"""

from __future__ import annotations

import logging
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

from orchestration.destinations.base import Capabilities, OutboxRow, Outcome, SendResult
from orchestration.destinations.http import ANSWER_CHARS, HttpClient
from orchestration.destinations.wire import Answer, Request
from orchestration.errors import DeliveryError, PermanentDeliveryError, RequestTooLarge, UnknownOutcome

logger = logging.getLogger(__name__)

T = TypeVar("T")
Rows = Sequence[OutboxRow]

HOPELESS = 8
"""Rows of one batch refused alone, one after the other and none taken, after which the rest is left for later: the
fault is then hardly the rows', and a wrong setting must not reject an outbox."""


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """What an answer says of one row that was not taken. `retry_after` in seconds."""

    answer: str
    outcome: Outcome = Outcome.REJECTED
    retry_after: float | None = None


def settle(rows: Rows, answer: Answer, failures: Mapping[int, ItemFailure] | None = None) -> list[SendResult]:
    """Every row delivered, but for those whose position in `rows` is in `failures`."""
    by_index = failures or {}
    return [_result(row, answer, by_index.get(index)) for index, row in enumerate(rows)]


def settle_by(
    rows: Rows, answer: Answer, failures: Mapping[str, ItemFailure], key: Callable[[OutboxRow], str | None]
) -> list[SendResult]:
    """The same, for a platform that names what it did not take by an identifier: `key` gives a row's."""
    return [_result(row, answer, failures.get(key(row) or "")) for row in rows]


def _result(row: OutboxRow, answer: Answer, failure: ItemFailure | None) -> SendResult:
    if failure is None:
        return SendResult(row, Outcome.DELIVERED, answer.status, answer.text)
    return SendResult(row, failure.outcome, answer.status, failure.answer, failure.retry_after)


class BatchDestination(ABC):
    """A destination that sends batches over HTTP. Subclasses give `encode`, and `decode` where answers speak of rows.

    `batch_size` rows at most share a request; so do only rows of one `group_key`.
    """

    def __init__(self, client: HttpClient, capabilities: Capabilities, batch_size: int) -> None:
        self.client = client
        self.capabilities = capabilities
        self.batch_size = batch_size
        self.traffic = client.traffic

    @abstractmethod
    def encode(self, rows: Rows) -> Request:
        """The request for these rows, the same whenever it is made, without credentials.

        Raises PermanentDeliveryError where a row can never be sent; with several rows they are then tried apart.
        """

    def decode(self, rows: Rows, answer: Answer) -> list[SendResult]:
        """What an answer that the judge let pass says of each row; see `settle`."""
        return settle(rows, answer)

    def blame(self, rows: Rows, error: PermanentDeliveryError) -> Mapping[int, str]:
        """Where the refusal of a whole batch names its culprits: their positions and why. The rest is sent again
        without them; where nobody is named, the batch is halved."""
        return {}

    def group_key(self, row: OutboxRow) -> Hashable:
        """Rows that differ in this never share a request."""
        return None

    def send(self, rows: Rows) -> list[SendResult]:
        batches = self._cut(rows)
        at_once = min(self.capabilities.max_concurrency, len(batches))
        if at_once <= 1:
            return [result for batch in batches for result in self._deliver(batch, Hunt())]
        with ThreadPoolExecutor(at_once) as threads:
            answered = threads.map(lambda batch: self._deliver(batch, Hunt()), batches)
            return [result for results in answered for result in results]

    def prepare(self, rows: Rows) -> list[Request]:
        return [request for batch in self._cut(rows) for request in self._prepare(batch)]

    def reconcile(self, rows: Rows) -> list[SendResult]:
        raise NotImplementedError(f"{type(self).__name__} cannot read back what the platform holds")

    def close(self) -> None:
        self.client.close()

    def _cut(self, rows: Rows) -> list[list[OutboxRow]]:
        groups: dict[Hashable, list[OutboxRow]] = {}
        for row in rows:
            groups.setdefault(self.group_key(row), []).append(row)
        size = self.batch_size
        return [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]

    def _prepare(self, rows: Rows) -> list[Request]:
        try:
            return [self._encode(rows)]
        except PermanentDeliveryError:
            if len(rows) == 1:
                return []
            return [request for half in halves(rows) for request in self._prepare(half)]

    def _encode(self, rows: Rows) -> Request:
        request = self.encode(rows)
        most = self.capabilities.max_body_bytes
        if most is not None and len(request.body) > most:
            raise RequestTooLarge(f"{len(request.body)} bytes, and the platform takes {most} in one request")
        return request

    def _deliver(self, rows: Rows, hunt: Hunt) -> list[SendResult]:
        try:
            request = self._encode(rows)
        except PermanentDeliveryError as error:
            return self._apart(rows, hunt) if len(rows) > 1 else self._same(rows, Outcome.REJECTED, error)
        except Exception as error:  # a bug in a module; nothing was sent, so nothing is in doubt
            log_bug(rows, error)
            return self._apart(rows, hunt) if len(rows) > 1 else self._unwritable(rows, error)
        try:
            answer = self.client.send(request)
        except PermanentDeliveryError as error:
            return self._refused(rows, error, hunt)
        except UnknownOutcome as error:
            return self._same(rows, Outcome.UNKNOWN, error)
        except DeliveryError as error:
            return self._same(rows, Outcome.FAILED, error)
        hunt.has_taken = True
        return self._decode(rows, answer)

    def _decode(self, rows: Rows, answer: Answer) -> list[SendResult]:
        try:
            results = self.decode(rows, answer)
        except Exception as error:  # an answer of a shape that nobody foresaw: what it meant is not known
            log_bug(rows, error)
            told = f"the answer could not be understood: {answer.text}"
            return [SendResult(row, Outcome.UNKNOWN, answer.status, told[:ANSWER_CHARS]) for row in rows]
        return [replace(one, answer=self.client.redactor.clean(one.answer)[:ANSWER_CHARS]) for one in results]

    def _refused(self, rows: Rows, error: PermanentDeliveryError, hunt: Hunt) -> list[SendResult]:
        if len(rows) == 1:
            hunt.refused_alone += 1
            return self._same(rows, Outcome.REJECTED, error)
        if isinstance(error, RequestTooLarge):
            return self._apart(rows, hunt)
        named = self.blame(rows, error)
        if named:
            guilty = [
                SendResult(row, Outcome.REJECTED, error.http_status, self.client.redactor.clean(named[index]))
                for index, row in enumerate(rows)
                if index in named
            ]
            innocent = [row for index, row in enumerate(rows) if index not in named]
            return guilty + (self._deliver(innocent, hunt) if innocent else [])
        return self._apart(rows, hunt)

    def _apart(self, rows: Rows, hunt: Hunt) -> list[SendResult]:
        """Halves until the rows that are refused stand alone: about 2 log2(n) requests for one among n."""
        results: list[SendResult] = []
        for half in halves(rows):
            if hunt.is_hopeless:
                told = f"not sent: {hunt.refused_alone} rows before it were each refused, and none was taken"
                results += [SendResult(row, Outcome.FAILED, answer=told) for row in half]
            else:
                results += self._deliver(half, hunt)
        return results

    def _same(self, rows: Rows, outcome: Outcome, error: DeliveryError) -> list[SendResult]:
        answer = self.client.redactor.clean(error.answer or error.message)[:ANSWER_CHARS]
        retry_after = getattr(error, "retry_after", None)
        return [SendResult(row, outcome, error.http_status, answer, retry_after) for row in rows]

    def _unwritable(self, rows: Rows, error: Exception) -> list[SendResult]:
        told = f"not sent: the row could not be put into a request ({type(error).__name__})"
        return [SendResult(row, Outcome.FAILED, answer=told) for row in rows]


@dataclass
class Hunt:
    """The search for what is wrong with one batch."""

    refused_alone: int = 0
    has_taken: bool = False

    @property
    def is_hopeless(self) -> bool:
        return not self.has_taken and self.refused_alone >= HOPELESS


def halves(items: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]


def log_bug(rows: Rows, error: Exception) -> None:
    # Without the error's own words: they may hold what a platform echoed.
    frames = "".join(traceback.format_tb(error.__traceback__))
    name, kind = rows[0].destination, type(error).__name__
    logger.error("destination %s broke on %d rows: %s\n%s", name, len(rows), kind, frames)
