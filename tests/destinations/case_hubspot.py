"""HubSpot, judged by what its own package makes of a request, and by the rules of its documentation.

The package's models refuse what lacks a required field; what they make of a body must be the body again, so no name is
misspelt and no value has another type. developers.hubspot.com gives the rest.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from hubspot.crm import contacts
from hubspot.events import send

from orchestration.destinations.base import OutboxRow
from orchestration.destinations.hubspot import event_uuid
from tests.destinations.cases import DestinationCase
from tests.destinations.rows import outbox_row
from tests.destinations.server import FakePlatform, Item, Reply, Seen

SECRET = "canary-hubspot-token"
EVENTS = "/events/v3/send/batch"
UPSERT, UPDATE = "/crm/v3/objects/contacts/batch/upsert", "/crm/v3/objects/contacts/batch/update"
FIRST_CONTACT = 1_000  # contact 1,007 is user u7

MODELS: Mapping[str, tuple[Any, Any, Any]] = {
    EVENTS: (
        send,
        send.BehavioralEventHttpCompletionRequest,
        send.BatchedBehavioralEventHttpCompletionRequest,
    ),
    UPSERT: (
        contacts,
        contacts.SimplePublicObjectBatchInputUpsert,
        contacts.BatchInputSimplePublicObjectBatchInputUpsert,
    ),
    UPDATE: (contacts, contacts.SimplePublicObjectBatchInput, contacts.BatchInputSimplePublicObjectBatchInput),
}


class HubspotApi(FakePlatform):
    deduplicates = True

    def is_authorized(self, seen: Seen) -> bool:
        return seen.headers.get("authorization") == f"Bearer {SECRET}"

    def unauthorized(self) -> Reply:
        return Reply(401, {"status": "error", "message": "no such token", "category": "INVALID_AUTHENTICATION"})

    def problems(self, seen: Seen) -> list[str]:
        if (seen.method, seen.path) not in {("POST", path) for path in MODELS}:
            return [f"there is no {seen.method} {seen.path}"]
        if not seen.headers.get("content-type", "").startswith("application/json"):
            return ["415: send application/json"]
        inputs = seen.json().get("inputs", [])
        wrong = [problem for one in inputs for problem in _shape(seen.path, one)]
        if not 1 <= len(inputs) <= 100:
            wrong.append(f"{len(inputs)} inputs")
        if not wrong:
            wrong = _events(inputs) if seen.path == EVENTS else _contacts(seen.path, inputs)
        return wrong

    def items(self, seen: Seen) -> list[Item]:
        return [Item(one.get("uuid") or one["objectWriteTraceId"], _user(one)) for one in seen.json()["inputs"]]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        if seen.path == EVENTS:
            return Reply(204)
        inputs = seen.json()["inputs"]
        results = [
            {"id": "51", "properties": one["properties"], "objectWriteTraceId": one["objectWriteTraceId"]}
            for index, one in enumerate(inputs)
            if index not in failures
        ]
        errors = [
            {
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "message": reason,
                "context": {"ids": [inputs[index]["id"]]},
            }
            for index, reason in failures.items()
        ]
        body = {"status": "COMPLETE", "results": results}
        return Reply(207, {**body, "numErrors": len(errors), "errors": errors}) if errors else Reply(200, body)

    def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        message = f"Invalid input: {'; '.join(failures.values())}"
        return Reply(400, {"status": "error", "category": "VALIDATION_ERROR", "message": message})

    def limited(self, seconds: float) -> Reply:
        body = {
            "status": "error",
            "message": "You have reached your ten_secondly_rolling limit.",
            "errorType": "RATE_LIMIT",
            "policyName": "TEN_SECONDLY_ROLLING",
        }
        return Reply(429, body, {"X-HubSpot-RateLimit-Interval-Milliseconds": str(int(seconds * 1000))})


class HubspotContactsById(HubspotApi):
    refuses_whole_batches = False


def _shape(path: str, one: dict[str, Any]) -> list[str]:
    """What the package's model of an input says, and where its own JSON differs from the input's."""
    package, model, _ = MODELS[path]
    fields = {vendor: ours for ours, vendor in model.attribute_map.items()}
    unknown = sorted(one.keys() - fields.keys())
    if unknown or not isinstance(one.get("properties"), dict):
        return [f"unknown: {unknown}, properties: {one.get('properties')}"]
    values = {fields[name]: value for name, value in one.items()}
    if "occurred_at" in values:
        values["occurred_at"] = datetime.fromisoformat(str(values["occurred_at"]))
    strict = package.Configuration()
    strict.client_side_validation = True  # the package leaves it off
    try:
        again = package.ApiClient().sanitize_for_serialization(model(**values, local_vars_configuration=strict))
    except ValueError as error:
        return [str(error)]
    wrong = [f"{name} is no text" for name, value in one.items() if name != "properties" and not isinstance(value, str)]
    wrong += [f"property {name} is no text" for name, value in one["properties"].items() if not isinstance(value, str)]
    same = {name: value for name, value in one.items() if name != "occurredAt"}
    again.pop("occurredAt", None)
    return wrong + ([] if again == same else [f"the package sends {json.dumps(again)}"])


def _events(inputs: list[dict[str, Any]]) -> list[str]:
    wrong = []
    for one in inputs:
        wrong += [] if re.fullmatch(r"pe\d+_\w+", one["eventName"]) else [f"no such event: {one['eventName']}"]
        wrong += [] if len({"email", "objectId", "utk"} & one.keys()) == 1 else ["name the contact once"]
        wrong += [] if str(UUID(one["uuid"])) == one["uuid"] else ["uuid is none"]
        wrong += [] if len(one["properties"]) <= 50 else ["more than 50 properties"]
        for name, value in one["properties"].items():
            wrong += [] if re.fullmatch("[a-z][a-z0-9_]{0,49}", name) else [f"no such property: {name}"]
            wrong += [] if len(value) <= 50 else [f"{name} has {len(value)} characters"]
    return wrong


def _contacts(path: str, inputs: list[dict[str, Any]]) -> list[str]:
    wanted = "email" if path == UPSERT else None
    wrong = [f"cannot find contacts by {one.get('idProperty')}" for one in inputs if one.get("idProperty") != wanted]
    twice = [name for name, count in Counter(one["id"].lower() for one in inputs).items() if count > 1]
    return wrong + [f"Duplicate IDs found in batch input: {name}" for name in twice]


def _user(one: dict[str, Any]) -> str:
    name = one.get("email") or one.get("objectId") or one["id"]
    return f"u{int(name) - FIRST_CONTACT}" if name.isdigit() else name.partition("@")[0]


def event_row(number: int = 0, **changes: Any) -> OutboxRow:
    return outbox_row(number, **{"platform_ref": "pe4711_cart_abandoned", **changes})


def email_row(number: int = 0, **changes: Any) -> OutboxRow:
    return outbox_row(number, **{"action": "profile", **changes})


def contact_row(number: int = 0, **changes: Any) -> OutboxRow:
    ids = {"hubspot_contact_id": str(FIRST_CONTACT + number)}
    return outbox_row(number, **{"action": "profile", "external_ids": ids, **changes})


_case = partial(
    DestinationCase,
    name="hubspot",
    environment=lambda url: {"TRIPLINE_HUBSPOT_TOKEN": SECRET, "TRIPLINE_HUBSPOT_BASE_URL": url},
    wrong_credentials={"TRIPLINE_HUBSPOT_TOKEN": "canary-hubspot-other"},
    secrets=(SECRET, "canary-hubspot-other"),
)
EVENT = _case(label="hubspot, events", fake=HubspotApi, expected_key=event_uuid, row=event_row)
EMAIL = _case(
    label="hubspot, contacts by e-mail", fake=HubspotApi, expected_key=lambda row: row.idempotency_key, row=email_row
)
CONTACT = _case(
    label="hubspot, contacts by id",
    fake=HubspotContactsById,
    expected_key=lambda row: row.idempotency_key,
    row=contact_row,
)
