"""Messages of every broken kind on both streams: no batch fails, and every one is in raw.events or in quarantine."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from tests.collector.test_malformed import broken
from tests.streams.conftest import Shop, event
from tests.streams.test_kinesis import Stream, endpoint, stream  # noqa: F401

MESSAGES = int(os.environ.get("TRIPLINE_REPLAY_MALFORMED_MESSAGES", "1500"))
HEADER_NAMES = ["ce_id", "ce_specversion", "ce_source", "ce_type", "ce_time", "content-type", "trace", ""]
HEADER_VALUES = [b"1.0", b"", b"\xff\xfe", b"application/cloudevents+json", b"x" * 3_000, b"{", None]


CHUNK = 500  # a batch; of a partition the mock cluster keeps 5 MB
LONGEST = 20_000


def messages(seed: int) -> list[bytes]:
    """As hostile clients send them to the collector, but nothing stands between them and the loader; some are sound."""
    chance = random.Random(seed)
    found = [broken(chance)[1][:LONGEST] for _ in range(MESSAGES)]
    return [json.dumps(event(f"sound-{n}")).encode() if n % 50 == 0 else text for n, text in enumerate(found)]


def load_all(of: Any, sent: list[bytes], send: Callable[[list[bytes]], None]) -> None:
    """In chunks, a batch each. Every message is in one of the two tables."""
    read = loaded = quarantined = 0
    for start in range(0, len(sent), CHUNK):
        chunk = sent[start : start + CHUNK]
        send(chunk)
        report = of.load()
        assert report.streams_failed == []
        assert report.events_read == len(chunk)
        assert len(chunk) == report.events_loaded + report.events_duplicate + report.events_quarantined
        read += report.events_read
        loaded += report.events_loaded + report.events_duplicate
        quarantined += report.events_quarantined
    assert of.load().batch_id is None, "nothing is read again"
    assert of.rows("select count(*) from raw.events") == [(loaded,)]
    assert of.rows("select count(*) from raw.quarantined_events") == [(quarantined,)]
    assert quarantined > read / 4 and loaded >= read / 50


def test_hostile_messages_of_a_topic_are_all_counted(shop: Shop) -> None:
    chance = random.Random(11)
    producer = Producer({"bootstrap.servers": shop.brokers, "log_level": 0})

    def send(some: list[bytes]) -> None:
        for text in some:
            headers = [(chance.choice(HEADER_NAMES), chance.choice(HEADER_VALUES)) for _ in range(chance.randrange(4))]
            key = chance.choice([None, b"ada", b"\xff" * 9, b""])
            producer.produce(shop.topic, text, key=key, headers=headers, partition=chance.randrange(3))
        assert producer.flush(60) == 0

    load_all(shop, messages(3), send)


def test_hostile_records_of_a_stream_are_all_counted(stream: Stream) -> None:  # noqa: F811
    def send(some: list[bytes]) -> None:
        for start in range(0, len(some), 100):
            records = [{"Data": text, "PartitionKey": "ada"} for text in some[start : start + 100]]
            assert stream.client.put_records(StreamName=stream.name, Records=records)["FailedRecordCount"] == 0

    load_all(stream, [text or b" " for text in messages(4)], send)  # Kinesis has no empty records
