"""Marketo: bodies checked against its published description, with the one correction that its own guide makes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote_plus

from jsonschema import Draft4Validator

from orchestration.destinations.base import OutboxRow
from tests.destinations.cases import DestinationCase
from tests.destinations.rows import outbox_row
from tests.destinations.server import FakePlatform, Item, Reply, Seen
from tests.destinations.specs import specification

CLIENT_ID, SECRET, TOKEN = "canary-marketo-client", "canary/marketo+secret", "canary-marketo-token"
SPECIFICATION = "marketo/marketo.swagger.json"
ACTIVITY_TYPE = 100_001
ATTRIBUTES = ("trigger", "campaign", "matchedAt", "observedValue", "thresholdValue", "productId", "category")
ACTIVITIES, LEADS = "/rest/v1/activities/external.json", "/rest/v1/leads.json"


def definitions() -> dict[str, Any]:
    """The description's, closed. Its custom activities list what answers hold (id, errors) as required, and an
    attribute's value as an object; the guide's page Activities says what is so, and shows it."""
    described: dict[str, Any] = json.loads(json.dumps(specification(SPECIFICATION)["definitions"]))
    activity, attribute = described["CustomActivity"], described["Attribute"]
    activity["required"] = ["leadId", "activityDate", "activityTypeId", "primaryAttributeValue", "attributes"]
    for name in ("id", "errors", "marketoGUID", "status"):
        del activity["properties"][name]
    attribute["required"], attribute["properties"]["value"] = ["value"], {"type": ["string", "number", "boolean"]}
    for name in ("CustomActivity", "CustomActivityRequest", "Attribute", "SyncLeadRequest", "TriggerCampaignRequest",
                 "TriggerCampaignData", "InputLead", "Token"):  # fmt: skip
        described[name]["additionalProperties"] = False
    return described


def failed(code: int, message: str) -> Reply:
    """200, whatever happened."""
    return Reply(200, {"requestId": "e42b#14272d07d78", "success": False, "errors": [error(code, message)]})


def done(result: list[dict[str, Any]]) -> Reply:
    return Reply(200, {"requestId": "e42b#14272d07d78", "success": True, "result": result})


def error(code: int, message: str) -> dict[str, str]:
    return {"code": str(code), "message": message}


class Marketo(FakePlatform):
    """`leads` by e-mail; `activities` as they were added."""

    refuses_whole_batches = False

    def __init__(self) -> None:
        self.definitions = definitions()
        self.tokens = itertools.count(1)
        self.token = ""
        self.leads: dict[str, int] = {}
        self.twice: set[str] = set()
        self.gone: set[int] = set()
        """Lead ids that there are none of."""
        self.activities: list[dict[str, Any]] = []
        self.attributes: tuple[str, ...] = ATTRIBUTES
        self.page_size = 300
        self.lead_calls: list[Any] = []
        self.lead_answers: list[Reply] = []
        """Given instead of the next ones."""
        self.side_problems: list[str] = []

    def is_authorized(self, seen: Seen) -> bool:
        return seen.headers.get("authorization") == f"Bearer {self.token}" and not seen.query

    def unauthorized(self) -> Reply:
        return failed(601, "Access token invalid")

    def expired(self) -> Reply:
        self.token = ""
        return failed(602, "Access token expired")

    def limited(self, seconds: float) -> Reply:
        return failed(606, "Max rate limit '100' exceeded with in '20' secs")

    def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return failed(1003, "; ".join(failures.values()))

    def problems(self, seen: Seen) -> list[str]:
        if seen.method != "POST":
            return [f"{seen.method} {seen.path} is no endpoint"]
        if seen.path == ACTIVITIES:
            wrong = self.check("CustomActivityRequest", seen.json())
            return wrong + ([] if len(seen.json()["input"]) <= 300 else ["more than 300 activities"])
        if seen.path.startswith("/rest/v1/campaigns/") and seen.path.endswith("/trigger.json"):
            wrong = self.check("TriggerCampaignRequest", seen.json())
            return wrong + ([] if len(seen.json()["input"]["leads"]) <= 100 else ["more than 100 leads"])
        return [f"{seen.path} is no endpoint"]

    def check(self, schema: str, body: Any) -> list[str]:
        root = {"$ref": f"#/definitions/{schema}", "definitions": self.definitions}
        errors = Draft4Validator(root).iter_errors(body)
        return [f"/{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in errors]

    def items(self, seen: Seen) -> list[Item]:
        if seen.path == ACTIVITIES:
            return [Item(one["primaryAttributeValue"], f"u{one['leadId'] - 1000}") for one in seen.json()["input"]]
        return [Item(None, f"u{lead['id'] - 1000}") for lead in seen.json()["input"]["leads"]]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        if seen.path != ACTIVITIES:
            gone = [lead["id"] for lead in seen.json()["input"]["leads"] if lead["id"] in self.gone]
            return failed(1004, f"Lead {gone} not found") if gone else done([{"id": 3712}])
        result: list[dict[str, Any]] = []
        for index, one in enumerate(seen.json()["input"]):
            if index in failures or one["leadId"] in self.gone:
                why = error(1004, failures.get(index, "Lead not found"))
                result.append({"status": "skipped", "errors": [why]})
            else:
                self.activities.append(one)
                result.append({"id": 50 + index, "marketoGUID": str(50 + index), "status": "added"})
        return done(result)

    def side(self, seen: Seen) -> Reply | None:
        if seen.path == "/identity/oauth/token":
            return self._identify(seen)
        if seen.path != LEADS and seen.method != "GET":
            return None
        if not self.is_authorized_for_reading(seen):
            return self.unauthorized()
        if seen.path == LEADS:
            return self._sync(seen)
        asked = {name: values[0] for name, values in parse_qs(seen.query).items()}
        if seen.path == "/rest/v1/activities/types.json":
            known = [{"name": name, "apiName": name, "dataType": "string"} for name in self.attributes]
            return done([{"id": ACTIVITY_TYPE, "name": "Triggered", "attributes": known}])
        if seen.path == "/rest/v1/activities/pagingtoken.json":
            return Reply(200, {"success": True, "nextPageToken": f"{asked['sinceDatetime']}=0"})
        if seen.path == "/rest/v1/activities.json":
            return self._read(asked)
        return failed(610, "Requested resource not found")

    def is_authorized_for_reading(self, seen: Seen) -> bool:
        return seen.headers.get("authorization") == f"Bearer {self.token}"

    def _identify(self, seen: Seen) -> Reply:
        given = {name: values[0] for name, values in parse_qs(seen.query).items()}
        if given != {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET}:
            return Reply(401, {"error": "unauthorized", "error_description": f"Bad client credentials {given}"})
        self.token = f"{TOKEN}-{next(self.tokens)}:int"
        return Reply(200, {"access_token": self.token, "token_type": "bearer", "expires_in": 3599, "scope": "a@b"})

    def _sync(self, seen: Seen) -> Reply:
        body = seen.json()
        self.side_problems += self.check("SyncLeadRequest", body)
        self.lead_calls.append(body)
        if self.lead_answers:
            return self.lead_answers.pop(0)
        return done([self._synced(lead["email"].lower(), body["action"]) for lead in body["input"]])

    def _synced(self, email: str, action: str) -> dict[str, Any]:
        if email in self.twice:
            return {"status": "skipped", "reasons": [error(1007, "Multiple leads match the lookup criteria")]}
        if email in self.leads:
            return {"id": self.leads[email], "status": "updated"}
        if action == "updateOnly":
            return {"status": "skipped", "reasons": [error(1004, "Lead not found")]}
        self.leads[email] = 1000 + int(email.partition("@")[0].removeprefix("u"))
        return {"id": self.leads[email], "status": "created"}

    def _read(self, asked: Mapping[str, str]) -> Reply:
        leads = {int(lead) for lead in asked["leadIds"].split(",")}
        if len(leads) > 30:
            return failed(1003, "more than 30 leads")
        since, _, start = asked["nextPageToken"].rpartition("=")
        held = [
            one
            for one in self.activities
            if one["leadId"] in leads
            and one["activityTypeId"] == int(asked["activityTypeIds"])
            and one["activityDate"] > since
        ]
        page = held[int(start) : int(start) + self.page_size]
        end = int(start) + len(page)
        more = {"nextPageToken": f"{since}={end}", "moreResult": end < len(held)}
        return Reply(200, {"success": True, "result": page, **more})


def known_lead(number: int = 0, **changes: Any) -> OutboxRow:
    """A row whose profile knows the lead's id."""
    return outbox_row(number, **{"external_ids": {"marketo_lead_id": str(1000 + number)}, **changes})


CASE = DestinationCase(
    name="marketo",
    label="Marketo",
    environment=lambda url: {
        "TRIPLINE_MARKETO_BASE_URL": f"{url}/rest",
        "TRIPLINE_MARKETO_CLIENT_ID": CLIENT_ID,
        "TRIPLINE_MARKETO_CLIENT_SECRET": SECRET,
        "TRIPLINE_MARKETO_ACTIVITY_TYPE_ID": str(ACTIVITY_TYPE),
        "TRIPLINE_MARKETO_SETTLE_SECONDS": "0",
    },
    wrong_credentials={"TRIPLINE_MARKETO_CLIENT_SECRET": "canary-marketo-other"},
    secrets=(SECRET, quote_plus(SECRET), TOKEN, "canary-marketo-other", CLIENT_ID),
    fake=Marketo,
    expected_key=lambda row: row.idempotency_key,
    row=known_lead,
    names_the_wait=False,
)
