"""Iterable: bodies checked against its published description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.destinations.cases import DestinationCase
from tests.destinations.server import FakePlatform, Item, Reply, Seen
from tests.destinations.specs import check_of

KEY = "canary0iterable0key0123456789abcd"
SPECIFICATION = "iterable/iterable.swagger.json"
BULK, TRIGGER = "/api/events/trackBulk", "/api/workflows/triggerWorkflow"
SCHEMAS = {BULK: "BulkTrackRequest", TRIGGER: "TriggerWorkflowRequest"}


def envelope(code: str, msg: str) -> dict[str, Any]:
    return {"code": code, "msg": msg, "params": None}


class Iterable(FakePlatform):
    deduplicates = True
    refuses_whole_batches = False

    def __init__(self) -> None:
        self.checks = {path: check_of(SPECIFICATION, schema) for path, schema in SCHEMAS.items()}

    def is_authorized(self, seen: Seen) -> bool:
        return seen.headers.get("api-key") == KEY

    def problems(self, seen: Seen) -> list[str]:
        if seen.method != "POST" or seen.path not in self.checks:
            return [f"{seen.method} {seen.path} is no endpoint"]
        wrong = self.checks[seen.path](seen.json())
        if wrong:
            return wrong
        for sent in self._sent(seen):
            if ("email" in sent) == ("userId" in sent):
                wrong.append("a user is named by an e-mail or by a user id, not by both or neither")
            if len(sent.get("id", "").encode()) > 512:
                wrong.append("an id is longer than 512 bytes")
            if not 1e9 < sent.get("createdAt", 1.5e9) < 1e10:
                wrong.append("createdAt is not in seconds")
        return wrong

    def items(self, seen: Seen) -> list[Item]:
        return [Item(sent.get("id"), self._user(sent).partition("@")[0]) for sent in self._sent(seen)]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        if seen.path == TRIGGER:
            return Reply(200, envelope("Success", ""))
        sent = self._sent(seen)
        users = [self._user(sent[index]) for index in failures]
        answer = {
            "successCount": len(sent) - len(users),
            "failCount": len(users),
            "createdFields": [],
            "disallowedEventNames": [],
            "failedUpdates": {
                "notFoundEmails": [user for user in users if "@" in user],
                "notFoundUserIds": [user for user in users if "@" not in user],
            },
        }
        # Iterable's answer has no room for words; a test's reason for a row needs some.
        return Reply(200, {**answer, "msg": "; ".join(failures.values())} if failures else answer)

    def refuse(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(400, envelope("BadParams", "; ".join(failures.values())))

    def unauthorized(self) -> Reply:
        return Reply(401, envelope("BadApiKey", "Invalid API key"))

    def limited(self, seconds: float) -> Reply:
        return Reply(429, envelope("RateLimitExceeded", "slow down"))

    @staticmethod
    def _sent(seen: Seen) -> list[dict[str, Any]]:
        body = seen.json()
        events = [body] if seen.path == TRIGGER else body["events"]
        assert isinstance(events, list)
        return events

    @staticmethod
    def _user(sent: Mapping[str, Any]) -> str:
        return str(sent.get("email") or sent.get("userId"))


CASE = DestinationCase(
    name="iterable",
    environment=lambda url: {
        "TRIPLINE_ITERABLE_API_KEY": KEY,
        "TRIPLINE_ITERABLE_BASE_URL": url,
        "TRIPLINE_PUSH_RATE_LIMITS": '{"iterable": [[1000, 1]]}',  # its own are slow to wait for
    },
    wrong_credentials={"TRIPLINE_ITERABLE_API_KEY": "canary0iterable0wrong0key"},
    secrets=(KEY, "canary0iterable0wrong0key"),
    fake=Iterable,
    expected_key=lambda row: row.idempotency_key,
    names_the_wait=False,
)
