"""Asking a running collector."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx

from tests.collector.conftest import Running

READ_KEY = "test-key-that-reads"


def evaluate(collector: Running, question: dict[str, Any], seconds: float = 30) -> dict[str, Any]:
    """The answer; while the rules are not there yet, it is asked for again."""
    deadline = time.monotonic() + seconds
    while True:
        answer = collector.post("/v1/evaluate", question, key=READ_KEY)
        if answer.status_code != 503 or time.monotonic() > deadline:
            assert answer.status_code == 200, answer.text
            return dict(answer.json())
        time.sleep(0.1)


def state(answer: dict[str, Any], trigger: str) -> dict[str, Any]:
    """What is said of one trigger and the only user."""
    (user,) = answer["users"]
    (found,) = [one for one in user["triggers"] if one["trigger_name"] == trigger]
    return dict(found)


def counts(collector: Running) -> dict[str, float]:
    """What /metrics tells of the validation layer."""
    text = httpx.get(f"{collector.url}/metrics").text
    found = re.findall(r"^tripline_validation_(\w+)_total ([0-9.e+]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}
