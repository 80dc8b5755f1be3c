"""Klaviyo: bodies checked by the models of its own package, and by its published description where that is at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from openapi_client.models.event_create_query_v2 import EventCreateQueryV2
from openapi_client.models.events_bulk_create_job import EventsBulkCreateJob
from pydantic import ValidationError

from tests.destinations.cases import DestinationCase
from tests.destinations.server import FakePlatform, Item, Reply, Seen
from tests.destinations.specs import check_of, has_specification

KEY = "pk_canary0klaviyo0private0key0123"
BULK, SINGLE = "/api/event-bulk-create-jobs", "/api/events"
MODELS = {BULK: EventsBulkCreateJob, SINGLE: EventCreateQueryV2}
SPECIFICATIONS = {
    BULK: ("klaviyo/klaviyo.bulk_create_events.json", "EventsBulkCreateJob"),
    SINGLE: ("klaviyo/klaviyo.create_event.json", "EventCreateQueryV2"),
}
MEDIA_TYPE = "application/vnd.api+json"


def errors(status: int, *details: tuple[str, str | None]) -> dict[str, Any]:
    """Klaviyo's answer to what it refuses; a detail and the pointer to what it is about."""
    return {
        "errors": [
            {
                "id": f"{number:032x}",
                "status": status,
                "code": "invalid",
                "title": "Invalid input.",
                "detail": detail,
                "source": {"pointer": pointer or "/data/"},
            }
            for number, (detail, pointer) in enumerate(details)
        ]
    }


def pointer_to(index: int) -> str:
    return f"/data/attributes/events-bulk-create/data/{index}/attributes/profile/data/attributes/email"


def events_of(seen: Seen) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Profile and attributes of each event in a request."""
    attributes = seen.json()["data"]["attributes"]
    if seen.path == SINGLE:
        return [(attributes["profile"]["data"], attributes)]
    return [
        (entry["attributes"]["profile"]["data"], event["attributes"])
        for entry in attributes["events-bulk-create"]["data"]
        for event in entry["attributes"]["events"]["data"]
    ]


def name_of(profile: dict[str, Any]) -> str:
    attributes = profile["attributes"]
    return str(profile.get("id") or attributes.get("email", attributes.get("phone_number"))).partition("@")[0]


class Klaviyo(FakePlatform):
    deduplicates = True

    def __init__(self) -> None:
        # Before the first request: reading the descriptions takes longer than a request may.
        self.checks = {
            endpoint: check_of(path, schema)
            for endpoint, (path, schema) in SPECIFICATIONS.items()
            if has_specification(path)
        }

    def is_authorized(self, seen: Seen) -> bool:
        return seen.headers.get("authorization") == f"Klaviyo-API-Key {KEY}"

    def problems(self, seen: Seen) -> list[str]:
        if seen.method != "POST" or seen.path not in MODELS:
            return [f"{seen.method} {seen.path} is no endpoint"]
        wrong = []
        if seen.headers.get("content-type") != MEDIA_TYPE:
            wrong.append("the media type is wrong")
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", seen.headers.get("revision", "")):
            wrong.append("the revision is missing")
        return wrong or self._wrong_in_body(seen)

    def items(self, seen: Seen) -> list[Item]:
        return [Item(event["unique_id"], name_of(profile)) for profile, event in events_of(seen)]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(202, "", {"ratelimit-limit": "150", "ratelimit-remaining": "149", "ratelimit-reset": "42"})

    def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(400, errors(400, *[(told, pointer_to(index)) for index, told in failures.items()]))

    def unauthorized(self) -> Reply:
        return Reply(401, errors(401, ("Missing or invalid authorization scheme.", None)))

    def limited(self, seconds: float) -> Reply:
        told = f"Request was throttled. Expected available in {seconds:.0f} seconds."
        return Reply(429, errors(429, (told, None)), {"retry-after": str(int(seconds))})

    def is_silent(self, seen: Seen) -> bool:
        return all(event.get("backfill") for _, event in events_of(seen))

    def _wrong_in_body(self, seen: Seen) -> list[str]:
        try:
            MODELS[seen.path].model_validate_json(seen.body)
        except ValidationError as error:
            return [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        wrong = self.checks[seen.path](seen.json()) if seen.path in self.checks else []
        if wrong:
            return wrong
        events = events_of(seen)
        for profile, event in events:
            known = profile["attributes"]
            if not (profile.get("id") or known.get("email") or known.get("phone_number")):
                wrong.append("a profile has no identifier")
            if len(event["metric"]["data"]["attributes"]["name"]) >= 128:
                wrong.append("a metric's name is too long")
        ids = [json.dumps([profile, event["metric"], event["unique_id"]]) for profile, event in events]
        return wrong + (["a unique_id is repeated"] if len(set(ids)) < len(ids) else [])


CASE = DestinationCase(
    name="klaviyo",
    environment=lambda url: {
        "TRIPLINE_KLAVIYO_API_KEY": KEY,
        "TRIPLINE_KLAVIYO_BASE_URL": url,
        "TRIPLINE_PUSH_RATE_LIMITS": '{"klaviyo": [[1000, 1]]}',  # its own are slow to wait for
    },
    wrong_credentials={"TRIPLINE_KLAVIYO_API_KEY": "pk_canary0of0another0account"},
    secrets=(KEY, "pk_canary0of0another0account"),
    fake=Klaviyo,
    expected_key=lambda row: row.idempotency_key,
)
