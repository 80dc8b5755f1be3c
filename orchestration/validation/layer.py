"""The validation layer of one collector: what it holds of users, and who may ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from orchestration.settings import Settings
from orchestration.sources.collected import mark_crossing
from orchestration.validation.answers import (
    Question,
    answer_json,
    asked_of,
    is_crossed,
    users_of,
)
from orchestration.validation.crossings import Crossings
from orchestration.validation.evaluations import Evaluations
from orchestration.validation.evaluator import Evaluator
from orchestration.validation.metrics import ValidationMetrics
from orchestration.validation.recent import EmbeddedRecentEvents, RecentEvent, RecentEvents, gather
from orchestration.validation.redis_events import RedisRecentEvents
from orchestration.validation.settings import ValidationSettings

logger = logging.getLogger(__name__)

FIRST_WINDOW_SECONDS = 15 * 86_400.0  # until the rules say how far back they look


class ValidationLayer:
    """`hurry` puts what was acknowledged where the loader finds it; see Spool."""

    def __init__(
        self,
        settings: Settings,
        own: ValidationSettings,
        hurry: Callable[[], Future[None]],
        metrics: ValidationMetrics,
    ) -> None:
        self.own, self.metrics = own, metrics
        self._settings, self._hurry = settings, hurry
        self._recent = _store(own)
        self._evaluations = Evaluations(settings, self._take_rules)
        self._crossings = Crossings(self._recent, self._evaluations, self._ask_for_batch, metrics.count)

    def note(self, lines: Sequence[bytes]) -> None:
        """Events that were just acknowledged; takes no time."""
        self._crossings.note(lines)

    async def answer(self, question: Question) -> bytes | None:
        """JSON; None where nothing is held of the user.

        Raises RecentEventsDown, NotReady and TimeoutError where asking again may help, duckdb.Error where the SQL
        fails on these events.
        """
        lines = question.lines
        if lines is None:
            held = await asyncio.to_thread(self._held, question.identity or "")
            lines = [event.line for event in sorted(held.values(), key=lambda event: event.received_at)]
            if not lines:
                return None
        asked = asked_of(lines, question.at)
        with self.metrics.evaluation.time():
            answered = asyncio.wrap_future(self._evaluations.ask(asked))
            answer = await asyncio.wait_for(answered, self.own.answer_seconds)
        users = users_of(question, asked, answer.evaluation)
        has_asked = question.asks_for_batch and is_crossed(users, answer.evaluation)
        if has_asked:
            await asyncio.to_thread(self._ask_for_batch, 1)
        return answer_json(question, asked, answer, has_asked=has_asked)

    def _held(self, identity: str) -> dict[str, RecentEvent]:
        self._crossings.store_noted()
        return gather(self._recent, [identity])

    def _ask_for_batch(self, crossings: int) -> None:
        self._hurry().result()
        try:
            mark_crossing(self._settings.landing_path)
        except OSError as error:
            logger.error("no batch could be asked for: %s", error.strerror)
        else:
            self.metrics.count("batches_asked", 1)

    def _take_rules(self, evaluator: Evaluator) -> None:
        self._recent.window_seconds = evaluator.window_seconds

    def close(self) -> None:
        self._crossings.close()
        self._evaluations.close()
        self._recent.close()


def _store(own: ValidationSettings) -> RecentEvents:
    if own.redis_url is None:
        return EmbeddedRecentEvents(FIRST_WINDOW_SECONDS, own.most_bytes)
    return RedisRecentEvents(own.redis_url.get_secret_value(), FIRST_WINDOW_SECONDS)


