"""How the published database is read for requests: beside the loop, bounded, and no two in each other's way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pydantic import BaseModel

from orchestration.collector.views import KEPT_BYTES, WAITING, TooManyReaders, Views
from orchestration.commands.tables import Tables
from orchestration.settings import Settings

pytestmark = pytest.mark.xdist_group("reading")


class _Text(BaseModel):
    text: str


def in_loop(settings: Settings, use: Callable[[Views], Coroutine[Any, Any, None]]) -> None:
    views = Views(settings)
    try:
        asyncio.run(use(views))
    finally:
        views.close()


def test_slow_questions_keep_no_event_from_being_taken_and_too_many_are_turned_away(shop: Settings) -> None:
    gate = threading.Event()

    def slow(tables: Tables) -> None:
        in_time = gate.wait(10)
        gate.set()
        assert in_time, "the loop, which opens the gate, did not get on"

    async def use(views: Views) -> None:
        asked = [asyncio.create_task(views.ask(f"slow {number}", slow)) for number in range(WAITING)]
        await asyncio.sleep(0.1)
        with pytest.raises(TooManyReaders):
            await views.ask("one more", slow)
        assert not any(task.done() for task in asked)
        gate.set()
        assert await asyncio.gather(*asked) == [None] * WAITING
        assert await views.ask("one more", slow) is None

    in_loop(shop, use)


def test_answers_are_kept_up_to_a_bound_the_oldest_go_first(shop: Settings) -> None:
    made: list[str] = []

    async def use(views: Views) -> None:
        def make(name: str) -> Callable[[Tables], BaseModel]:
            return lambda tables: made.append(name) or _Text(text=name * (KEPT_BYTES // 4))

        for name in ("a", "b", "c", "a", "d", "a", "b"):  # three find room
            await views.ask(name, make(name))

    in_loop(shop, use)
    assert made == ["a", "b", "c", "d", "b"]
