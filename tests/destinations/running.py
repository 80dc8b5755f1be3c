"""One destination against its scripted server, configured from the environment as a push does it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration.destinations.base import Destination, OutboxRow, SendResult
from orchestration.destinations.registry import Registry
from orchestration.settings import get_settings
from tests.destinations.cases import DestinationCase
from tests.destinations.server import ScriptedServer

QUICK = {
    "TRIPLINE_PUSH_BACKOFF_SECONDS": "0.01",
    "TRIPLINE_PUSH_ANSWER_TIMEOUT_SECONDS": "10",
    "TRIPLINE_PUSH_MAX_WAIT_SECONDS": "10",
}


class Running:
    def __init__(self, case: DestinationCase, server: ScriptedServer) -> None:
        self.case = case
        self.server = server
        self._made: list[Destination] = []

    def create(self) -> Destination:
        settings = get_settings()
        self._made.append(Registry(settings=settings).create(self.case.name, settings))
        return self._made[-1]

    def send(self, *rows: OutboxRow) -> dict[str, SendResult]:
        """Results by user."""
        return {result.row.user_id: result for result in self.create().send(rows)}

    def close(self) -> None:
        for destination in self._made:
            destination.close()


@contextmanager
def running(case: DestinationCase, home: Path, **environment: str) -> Iterator[Running]:
    """`environment` is set beside what the case sets. Rate limits are those of tests."""
    with pytest.MonkeyPatch.context() as patch, ScriptedServer(case.fake()) as server:
        for name in [name for name in os.environ if name.startswith("TRIPLINE_")]:
            patch.delenv(name)
        limits = {"TRIPLINE_PUSH_RATE_LIMITS": json.dumps({case.name: [[1000, 1]]})}
        given = {"TRIPLINE_HOME": str(home), **QUICK, **limits, **case.environment(server.url), **environment}
        for name, value in given.items():
            patch.setenv(name, value)
        made = Running(case, server)
        yield made
        made.close()
