"""A server that takes what Segment's HTTP API takes, by Segment's documentation of it ("HTTP API Source")."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.destinations.cases import DestinationCase
from tests.destinations.server import FakePlatform, Item, Reply, Seen

KEY = "canary0segment0write0key"
BASIC = base64.b64encode(f"{KEY}:".encode()).decode()
TYPES = {"track", "identify", "page", "screen", "group", "alias"}


class Segment(FakePlatform):
    deduplicates = True

    def is_authorized(self, seen: Seen) -> bool:
        return seen.headers.get("authorization") == f"Basic {BASIC}"

    def problems(self, seen: Seen) -> list[str]:
        if (seen.method, seen.path) != ("POST", "/v1/batch"):
            return [f"{seen.method} {seen.path} is no endpoint"]
        if seen.headers.get("content-type") != "application/json":
            return ["the content type is wrong"]
        if len(seen.body) > 500_000:
            return ["the batch is larger than 500 KB"]
        batch = seen.json()["batch"]
        wrong = [told for call in batch for told in wrong_in_call(call)]
        return wrong + (["more than 2,500 calls"] if len(batch) > 2_500 else [])

    def items(self, seen: Seen) -> list[Item]:
        return [Item(call["messageId"], call["userId"]) for call in seen.json()["batch"]]

    def accept(self, seen: Seen, failures: Mapping[int, str]) -> Reply:
        return Reply(200, {"success": True})

    def limited(self, seconds: float) -> Reply:
        return Reply(429, "", {"retry-after": str(int(seconds)), "x-ratelimit-reset": str(int(seconds))})


def wrong_in_call(call: dict[str, Any]) -> list[str]:
    """Why Segment would refuse a call, or take it and then reject it."""
    wrong = []
    if call.get("type") not in TYPES:
        wrong.append("a call has no type")
    if call.get("type") == "track" and not isinstance(call.get("event"), str):
        wrong.append("a track call has no event")
    if not (call.get("userId") or call.get("anonymousId")):
        wrong.append("a call has neither userId nor anonymousId")
    if not 0 < len(call.get("messageId", "")) < 100:
        wrong.append("a messageId has no or too many characters")
    if len(json.dumps(call, ensure_ascii=False, separators=(",", ":")).encode()) > 32 * 1024:
        wrong.append("a call is larger than 32 KB")
    if datetime.fromisoformat(call["timestamp"]).tzinfo is None:
        wrong.append("a timestamp has no zone")
    return wrong


CASE = DestinationCase(
    name="segment",
    environment=lambda url: {"TRIPLINE_SEGMENT_WRITE_KEY": KEY, "TRIPLINE_SEGMENT_BASE_URL": url},
    wrong_credentials={"TRIPLINE_SEGMENT_WRITE_KEY": "canary0segment0wrong0key"},
    secrets=(KEY, BASIC, "canary0segment0wrong0key"),
    fake=Segment,
    expected_key=lambda row: row.idempotency_key,
)
