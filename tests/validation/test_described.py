"""POST /v1/evaluate as /openapi.json describes it; tests/collector/test_openapi.py holds the other routes to it."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck
from hypothesis import settings as examples

from tests.collector.test_openapi import CHECKS
from tests.validation.conftest import Listen
from tests.validation.reading import READ_KEY, evaluate

BEARER = {"authorization": f"Bearer {READ_KEY}"}
EVENT = {"type": "track", "event": "Product Added", "messageId": "1", "userId": "ada", "timestamp": "2026-11-20"}


@pytest.fixture
def described(listen: Listen) -> Any:
    collector = listen()
    evaluate(collector, {"events": [EVENT]})  # the rules are there
    described = schemathesis.openapi.from_url(f"{collector.url}/openapi.json")
    described.config.update(base_url=collector.url)
    return described


schema = schemathesis.pytest.from_fixture("described").include(path="/v1/evaluate")


@schema.parametrize()
@examples(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_description_names(case: schemathesis.Case) -> None:
    case.call_and_validate(headers=BEARER, checks=CHECKS)


def test_an_evaluation_is_as_described(described: Any) -> None:
    question = {"events": [EVENT, {"messageId": "2"}], "at": "2026-11-20T12:30:00Z"}
    case = described["/v1/evaluate"]["POST"].Case(body=question, media_type="application/json")
    response = case.call_and_validate(headers=BEARER, checks=CHECKS)
    assert response.status_code == 200 and response.json()["users"][0]["user_id"] == "ada"
