"""The collector's idea of a CloudEvent, against the schema that the specification publishes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.collector import cloudevents
from tests.destinations.specs import specification

RECEIVED = "2026-11-24T10:00:00.000000Z"
SOUND = {
    "id": "A234-1234-1234",
    "source": "https://shop.example/till",
    "specversion": "1.0",
    "type": "Order Completed",
    "subject": "ada",
    "time": "2026-11-24T09:59:00Z",
    "datacontenttype": "application/json",
    "data": {"order_id": "o-1", "revenue": 20},
}
REQUIRED = ("id", "source", "specversion", "type")
ODD = st.one_of(st.none(), st.booleans(), st.integers(), st.just(""), st.text(max_size=8), st.lists(st.none()))


@pytest.fixture(scope="module")
def schema() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(specification("cloudevents/cloudevents.json"))


def reason_of(event: dict[str, Any]) -> str | None:
    (item,) = cloudevents.read_structured(json.dumps(event).encode()).build(RECEIVED, None)
    return item.reason


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*SOUND, "data_base64", "dataschema", "userid", "x"]), ODD, max_size=3),
    st.sets(st.sampled_from(sorted(SOUND)), max_size=2),
)
def test_what_the_schema_takes_is_a_cloudevent_here_and_what_lacks_a_required_attribute_is_not(
    schema: jsonschema_rs.Validator, changed: dict[str, Any], dropped: set[str]
) -> None:
    event = {name: value for name, value in {**SOUND, **changed}.items() if name not in dropped}
    is_named = isinstance(event.get("specversion"), str) and event["specversion"].startswith("1.")
    is_blank = any(isinstance(event.get(name), str) and not event[name].strip() for name in REQUIRED)
    if schema.is_valid(event) and is_named and not is_blank:
        assert reason_of(event) != "not_a_cloudevent"
    if any(not isinstance(event.get(name), str) or not event[name] for name in REQUIRED):
        assert not schema.is_valid(event)
        assert reason_of(event) in ("not_a_cloudevent", "not_json")


def test_the_examples_of_the_tests_are_sound(schema: jsonschema_rs.Validator) -> None:
    assert schema.is_valid(SOUND) and reason_of(SOUND) is None
    assert not schema.is_valid({**SOUND, "id": ""}) and reason_of({**SOUND, "id": ""}) == "not_a_cloudevent"
