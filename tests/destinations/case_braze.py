"""Braze: bodies checked against its documentation, for it publishes no machine-readable description.

The schemas are those of braze.com/docs/api: Track users with the Event object, Send campaigns and Send Canvases using
API-triggered delivery with the Recipients object, closed, so that a misspelt field is refused.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from tests.destinations.cases import DestinationCase
from tests.destinations.server import FakePlatform, Item, Reply, Seen

KEY = "canary-braze-0123456789abcdef"
TEXT = {"type": "string", "minLength": 1}
PROPERTIES = {
    "type": "object",
    "propertyNames": {"minLength": 1, "maxLength": 255, "pattern": r"^[^$]"},
    "additionalProperties": {
        "anyOf": [
            {"type": ["number", "boolean", "array", "object"]},
            {"type": "string", "maxLength": 255},
        ]
    },
}


def exactly_one(*names: str) -> list[dict[str, Any]]:
    return [{"required": [name]} for name in names]


EVENT = {
    "type": "object",
    "required": ["name", "time"],
    "oneOf": exactly_one("external_id", "user_alias", "braze_id", "email", "phone"),
    "additionalProperties": False,
    "properties": {
        **dict.fromkeys(("external_id", "braze_id", "email", "phone", "app_id", "name"), TEXT),
        "user_alias": {"type": "object"},
        "time": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|[+-]\d\d:\d\d)$",
        },
        "properties": PROPERTIES,
        "_update_existing_only": {"type": "boolean"},
    },
}


def recipients(properties: str) -> dict[str, Any]:
    return {
        "type": "array",
        "minItems": 1,
        "maxItems": 50,
        "items": {
            "type": "object",
            "oneOf": exactly_one("external_user_id", "user_alias", "email"),
            "dependentRequired": {"email": ["prioritization"]},
            "additionalProperties": False,
            "properties": {
                "external_user_id": TEXT,
                "email": TEXT,
                "prioritization": {
                    "type": "array",
                    "items": {
                        "enum": ["identified", "unidentified", "most_recently_updated", "least_recently_updated"]
                    },
                },
                properties: PROPERTIES,
            },
        },
    }


def sending(identifier: str, properties: str) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [identifier, "recipients"],
        "additionalProperties": False,
        "properties": {
            identifier: TEXT,
            # A whole segment is messaged where it is true.
            "broadcast": {"const": False},
            "recipients": recipients(properties),
        },
    }


SCHEMAS = {
    "/users/track": {
        "type": "object",
        "required": ["events"],
        "additionalProperties": False,
        "properties": {"events": {"type": "array", "minItems": 1, "maxItems": 50, "items": EVENT}},
    },
    "/campaigns/trigger/send": sending("campaign_id", "trigger_properties"),
    "/canvas/trigger/send": sending("canvas_id", "canvas_entry_properties"),
}
PROPERTIES_OF = {
    "/users/track": "properties",
    "/campaigns/trigger/send": "trigger_properties",
    "/canvas/trigger/send": "canvas_entry_properties",
}


class Braze(FakePlatform):
    refuses_whole_batches = False

    def is_authorized(self, seen: Seen) -> bool:
        return seen.headers.get("authorization") == f"Bearer {KEY}"

    def problems(self, seen: Seen) -> list[str]:
        if seen.method != "POST" or seen.path not in SCHEMAS:
            return [f"{seen.method} {seen.path} is no endpoint"]
        if seen.headers.get("content-type") != "application/json":
            return ["no JSON"]
        checker = Draft202012Validator(SCHEMAS[seen.path], format_checker=FormatChecker())
        return [f"/{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in checker.iter_errors(seen.json())]

    def items(self, seen: Seen) -> list[Item]:
        return [
            Item(sent[PROPERTIES_OF[seen.path]]["tripline_key"], self._user(sent).partition("@")[0])
            for sent in self._sent(seen)
        ]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        is_track = seen.path == "/users/track"
        body: dict[str, Any] = {"message": "success"}
        if is_track:
            body["events_processed"] = len(self._sent(seen)) - len(failures)
        else:
            body["dispatch_id"] = "0123456789abcdef"
        if failures:
            array = "events" if is_track else "recipients"
            body["errors"] = [{"type": why, "input_array": array, "index": i} for i, why in failures.items()]
        return Reply(201, body)

    def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(400, {"message": "; ".join(failures.values())})

    def unauthorized(self) -> Reply:
        return Reply(401, {"message": "Invalid API key"})

    def limited(self, seconds: float) -> Reply:
        reset = math.ceil(time.time() + seconds)
        headers = {"x-ratelimit-limit": "3000", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
        return Reply(429, {"message": "rate limited"}, headers)

    def _sent(self, seen: Seen) -> list[dict[str, Any]]:
        body = seen.json()
        sent: list[dict[str, Any]] = body["events"] if seen.path == "/users/track" else body["recipients"]
        return sent

    def _user(self, sent: Mapping[str, Any]) -> str:
        return str(sent.get("external_id") or sent.get("external_user_id") or sent.get("email") or sent["phone"])


CASE = DestinationCase(
    name="braze",
    label="Braze",
    environment=lambda url: {"TRIPLINE_BRAZE_BASE_URL": url, "TRIPLINE_BRAZE_API_KEY": KEY},
    wrong_credentials={"TRIPLINE_BRAZE_API_KEY": "canary-braze-other"},
    secrets=(KEY, "canary-braze-other"),
    fake=Braze,
    expected_key=lambda row: row.idempotency_key,
)
