"""kill -9 of the collector at any moment: every event it acknowledged is in raw.events, once."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time

import httpx

from orchestration.settings import Settings
from tests.collector.conftest import KEY, Running, Start, event, load_all, rows

ROUNDS = int(os.environ.get("TRIPLINE_REPLAY_COLLECTOR_ROUNDS", "8"))
CLIENTS = 6


class Client(threading.Thread):
    """Sends one request after the other, each until it is answered or the connection ends; what was in doubt is sent
    again under the same ids by the next round, as clients do."""

    def __init__(self, name: str, doubtful: list[list[str]]) -> None:
        super().__init__(daemon=True)
        self.name, self.acknowledged = name, list[str]()
        self.doubtful, self.number = doubtful, 0
        self.url = ""
        self.is_ending = threading.Event()

    def run(self) -> None:
        with httpx.Client(auth=(KEY, ""), timeout=10) as client:
            while not self.is_ending.is_set():
                ids = self.doubtful.pop() if self.doubtful else self._new_ids()
                batch = {"batch": [event(name, properties={"pad": "x" * 300}) for name in ids]}
                try:
                    answer = client.post(self.url + "/v1/batch", json=batch)
                except httpx.TransportError:
                    self.doubtful.append(ids)
                    return
                if answer.status_code == 200:
                    assert answer.json()["accepted"] == len(ids)
                    self.acknowledged += ids
                else:
                    self.doubtful.append(ids)

    def _new_ids(self) -> list[str]:
        self.number += 1
        return [f"{self.name}-{self.number}-{index}" for index in range(1 + self.number % 7)]


def test_killed_at_any_moment_every_acknowledged_event_is_in_exactly_once(settings: Settings, start: Start) -> None:
    chance = random.Random(11)
    acknowledged: list[str] = []
    doubtful: list[list[list[str]]] = [[] for _ in range(CLIENTS)]
    in_flight = 0
    for round_number in range(ROUNDS):
        collector = start(slice_seconds="0.05")
        clients = [Client(f"r{round_number}c{index}", doubtful[index]) for index in range(CLIENTS)]
        for client in clients:
            client.url = collector.url
            client.start()
        time.sleep(chance.uniform(0.02, 0.5))
        assert collector.stop(signal.SIGKILL) == -signal.SIGKILL
        for client in clients:
            client.is_ending.set()
            client.join(timeout=20)
            acknowledged += client.acknowledged
        in_flight += sum(len(left) for left in doubtful)
        if round_number % 3 == 2:
            load_all(settings, wait=False)
    assert in_flight >= ROUNDS, "the collector must be killed while it works, or this shows nothing"
    assert start().stop() == 0, "what the last one left is put into place"
    load_all(settings)
    found = [
        name for (name,) in rows(settings, "select event_id from raw.events where not is_duplicate order by event_seq")
    ]
    assert len(found) == len(set(found)), "copies count once"
    assert set(acknowledged) <= set(found)
    accounts = rows(
        settings,
        "select sum(events_read), sum(events_loaded + events_duplicate), sum(events_quarantined) from raw.load_batches",
    )
    assert accounts[0][0] == accounts[0][1] and accounts[0][2] == 0, "no line was cut in two"
    print(
        json.dumps({"rounds": ROUNDS, "acknowledged": len(acknowledged), "loaded": len(found), "in_flight": in_flight})
    )


def test_an_answer_is_not_given_before_the_disk_has_it(collector: Running) -> None:
    """What is acknowledged is in a file at once, whether or not it is in the landing folder yet."""
    for number in range(30):
        assert collector.post("/v1/track", event(f"m-{number}")).status_code == 200
        kept = b"".join(path.read_bytes() for path in collector.settings.landing_path.rglob("*.jsonl"))
        assert f'"m-{number}"'.encode() in kept
