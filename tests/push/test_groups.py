"""How much goes out together: what a kill leaves unrecorded, and how long a claimed row may wait."""

from __future__ import annotations

import json

import pytest

from orchestration.breaker import Breaker
from orchestration.delivery_log import Look, utc_now
from orchestration.destinations.registry import Registry
from orchestration.destinations.settings import PushSettings
from orchestration.push_report import PushReport
from orchestration.push_turn import Shared, Turn
from orchestration.settings import Settings
from tests.destinations.case_rest import BATCH


@pytest.mark.parametrize(
    ("limits", "rows"),
    [
        pytest.param([[1, 10]], 100, id="one request, where two seconds allow none"),
        pytest.param([[190, 10]], 3_800, id="two seconds' worth"),
        pytest.param([[1_000, 1]], 5_000, id="no more than memory should hold"),
        pytest.param([], 1_000, id="ten requests, where there is no limit"),
    ],
)
def test_a_group_is_two_seconds_of_sending_and_never_an_outbox(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, limits: list[list[int]], rows: int
) -> None:
    BATCH.write_files(settings.home, "http://127.0.0.1:9")
    monkeypatch.setenv("TRIPLINE_PUSH_RATE_LIMITS", json.dumps({BATCH.name: limits}))
    push_settings, registry = PushSettings(), Registry(settings=settings)
    report = PushReport("a push", False, utc_now())
    shared = Shared(settings, push_settings, registry, report, Look([]), lambda done, total: None, 0, 0.0)
    turn = Turn(shared, BATCH.name, Breaker(None, push_settings), max_rows=100_000, is_dry_run=False)
    assert turn._group_sizes()[1] == rows
