"""Customer.io's Track API v2, by its documentation (docs.customer.io/api/track)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from orchestration.destinations.customerio import ulid_of
from tests.destinations.cases import DestinationCase
from tests.destinations.server import FakePlatform, Item, Reply, Seen

SITE, KEY = "canary-customerio-site", "canary-customerio-key"
PAIR = base64.b64encode(f"{SITE}:{KEY}".encode()).decode()
PATH = "/api/v2/batch"
ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
REQUIRED = {"type", "identifiers", "action", "name"}
KNOWN = REQUIRED | {"id", "timestamp", "attributes"}


class CustomerioApi(FakePlatform):
    deduplicates = True
    refuses_whole_batches = False

    def is_authorized(self, seen: Seen) -> bool:
        return seen.headers.get("authorization") == f"Basic {PAIR}"

    def problems(self, seen: Seen) -> list[str]:
        if (seen.method, seen.path) != ("POST", PATH):
            return [f"there is no {seen.method} {seen.path}"]
        if seen.headers.get("content-type") != "application/json":
            return ["send application/json"]
        wrong = [problem for one in seen.json().get("batch", [{}]) for problem in _problems(one)]
        return wrong + ([] if len(seen.body) < 500_000 else ["the body has 500 kB or more"])

    def items(self, seen: Seen) -> list[Item]:
        return [Item(one["id"], _user(one["identifiers"])) for one in seen.json()["batch"]]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        errors = [
            {"batch_index": index, "reason": "invalid", "field": "identifiers", "message": reason}
            for index, reason in failures.items()
        ]
        return Reply(207, {"errors": errors}) if errors else Reply(200, {})

    def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(400, {"errors": [{"reason": "invalid", "message": reason} for reason in failures.values()]})

    def unauthorized(self) -> Reply:
        return Reply(401, {"meta": {"error": "Unauthorized request"}})

    def limited(self, seconds: float) -> Reply:
        return Reply(429, {"meta": {"error": "Too many requests"}})


def _problems(one: dict[str, Any]) -> list[str]:
    if not KNOWN >= one.keys() >= REQUIRED:
        return [f"fields {sorted(one)}"]
    identifiers, attributes = one["identifiers"], one.get("attributes", {})
    kinds = {"id", "email", "phone", "cio_id"}
    wrong = {
        "no event of a person": (one["type"], one["action"]) != ("person", "event"),
        "name the person by one identifier": len(identifiers) != 1 or not kinds >= identifiers.keys(),
        "the identifier is empty": not all(isinstance(value, str) and value for value in identifiers.values()),
        "the name is no text, or has more than 100 bytes": not 1 <= len(str(one["name"]).encode()) <= 100,
        "id is no ULID": not ULID.fullmatch(str(one.get("id", ""))),
        "timestamp is no Unix time": type(one.get("timestamp", 0)) is not int,
        "an attribute overrides the campaign": bool({"recipient", "from_address", "reply_to"} & attributes.keys()),
        "the event has more than 32 kB": len(json.dumps(one).encode()) > 32_768,
    }
    return [problem for problem, is_so in wrong.items() if is_so]


def _user(identifiers: dict[str, str]) -> str:
    return identifiers.get("id") or identifiers["email"].partition("@")[0]


CASE = DestinationCase(
    name="customerio",
    environment=lambda url: {
        "TRIPLINE_CUSTOMERIO_SITE_ID": SITE,
        "TRIPLINE_CUSTOMERIO_API_KEY": KEY,
        "TRIPLINE_CUSTOMERIO_BASE_URL": url,
    },
    wrong_credentials={"TRIPLINE_CUSTOMERIO_API_KEY": "canary-customerio-other"},
    secrets=(SITE, KEY, PAIR, "canary-customerio-other"),
    fake=CustomerioApi,
    expected_key=ulid_of,
    names_the_wait=False,
)
