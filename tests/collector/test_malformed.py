"""Requests of every broken kind: none is answered with an error of the collector's own, and all are counted."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import os
import random
import string
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.conftest import KEY, Running, event, load_all, rows

REQUESTS = int(os.environ.get("TRIPLINE_REPLAY_MALFORMED_REQUESTS", "1200"))
PATHS = [
    *(f"/v1/{call}" for call in ("track", "identify", "page", "screen", "group", "alias", "batch")),
    "/v1/cloudevents", "/com.snowplowanalytics.snowplow/tp2",
]  # fmt: skip
TYPES = [
    "application/json",
    "text/plain",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "x",
    "",
]
BASIC = "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()
CREDENTIALS = [BASIC, BASIC, BASIC, "Basic !!!", "Basic /w==", "Bearer x", "Basic " + "A" * 5_000, ""]
CLOUD = {"specversion": "1.0", "id": "1", "source": "/s", "type": "Viewed", "data": {"userId": "ada"}}
SOUND: list[Any] = [
    event("m"), {"batch": [event("m"), event("n")], "context": {"a": 1}}, CLOUD, [CLOUD, CLOUD],
    {"schema": "iglu:x", "data": [{"e": "pv", "uid": "ada", "eid": "1", "dtm": "1700000000000"}]},
]  # fmt: skip
ODD: list[Any] = [
    None, True, 0, -1, 10**40, 1e308, "", " ", "\u0000", "\ud800", "anon:1", "null", [], {}, [[[]]], {"": ""},
    "x" * 5_000, ["x"] * 50, {"a": {"b": {"c": None}}}, "9999-99-99T99:99:99Z",
]  # fmt: skip


def broken(chance: random.Random) -> tuple[str, bytes, dict[str, str]]:
    body = json.loads(json.dumps(chance.choice(SOUND)))
    for _ in range(chance.randrange(4)):
        _spoil(body, chance)
    text = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    match chance.randrange(8):
        case 0:
            text = text[: chance.randrange(len(text) + 1)]
        case 1:
            text = _flipped(text, chance)
        case 2:
            text = chance.randbytes(chance.randrange(200))
        case 3:
            text = b"[" * chance.choice([10, 5_000]) + text
        case 4:
            text = text * chance.choice([2, 300])
    headers = {"content-type": chance.choice(TYPES), "authorization": chance.choice(CREDENTIALS)}
    if chance.random() < 0.2:
        headers["content-encoding"] = chance.choice(["gzip", "gzip", "br", "GZIP", ""])
        if chance.random() < 0.7:
            text = gzip.compress(text)[: chance.choice([None, None, 20])]
    if chance.random() < 0.2:
        names = (
            "id",
            "source",
            "type",
            "specversion",
            "time",
            "subject",
            "".join(chance.sample(string.ascii_lowercase, 5)),
        )
        headers |= {
            f"ce-{name}": chance.choice(["1.0", "%zz", "", "é%C3"]).encode().decode("latin-1") for name in names
        }
    return chance.choice(PATHS), text, {name: value for name, value in headers.items() if value}


def _spoil(body: Any, chance: random.Random) -> None:
    if isinstance(body, dict) and body:
        name = chance.choice(list(body))
        if chance.random() < 0.5 and isinstance(body[name], dict | list):
            _spoil(body[name], chance)
        else:
            body[chance.choice([name, name, "x", "messageId", "userId"])] = copy.deepcopy(chance.choice(ODD))
    elif isinstance(body, list) and body:
        body[chance.randrange(len(body))] = copy.deepcopy(chance.choice(ODD))


def _flipped(text: bytes, chance: random.Random) -> bytes:
    changed = bytearray(text)
    for _ in range(chance.randrange(1, 6)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def test_none_of_them_is_an_error_of_the_collector_and_all_are_counted(collector: Running) -> None:
    chance = random.Random(5)
    requests = [broken(chance) for _ in range(REQUESTS)]
    with httpx.Client(base_url=collector.url, timeout=30) as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: client.post(one[0], content=one[1], headers=_bytes(one[2])), requests))
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 400, 401, 413, 415}, statuses
    assert statuses[200] and statuses[400] and statuses[401]
    told = Counter[str]()
    for answer in answers:
        outcome = answer.json()
        if "accepted" in outcome:
            told["accepted"] += outcome["accepted"]
            told["refused"] += outcome.get("refused_count", 0)
    counted = Counter[str]()
    for family in text_string_to_metric_families(httpx.get(collector.url + "/metrics").text):
        for sample in family.samples:
            counted[sample.name] += int(sample.value)
    assert counted["tripline_requests_total"] == REQUESTS
    assert counted["tripline_errors_total"] == 0
    assert (counted["tripline_events_accepted_total"], counted["tripline_events_refused_total"]) == (
        told["accepted"], told["refused"],
    )  # fmt: skip
    report = load_all(collector.settings)
    assert report.events_read == told["accepted"] + told["refused"]
    assert report.events_quarantined == told["refused"], "the loader judges as the collector did"
    assert len(rows(collector.settings, "select 1 from raw.quarantined_events")) == told["refused"]


def _bytes(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
