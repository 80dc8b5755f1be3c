"""`python -m benchmarks.streams`: messages a second from a stream to raw.events, against reading them for nothing.

Kafka is librdkafka's mock cluster, Kinesis moto's server, each in a process of its own on the same cores. Prints a
table and, as the last line, one JSON object with the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
from confluent_kafka import Producer
from rich.console import Console
from rich.table import Table

from benchmarks.memory import peak_kib
from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.sources.declarations import read_declarations
from orchestration.sources.stream_batch import reader_of
from orchestration.sources.streams.base import StreamDeclaration
from orchestration.warehouse import connect
from tests.streams.kinesis import moto
from tests.streams.mock_cluster import MockCluster

PARTITIONS = 32  # the mock cluster keeps 5 MB of each


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    parser.add_argument("--kafka", type=int, default=400_000, help="messages; 0 for none")
    parser.add_argument("--kinesis", type=int, default=40_000, help="records; 0 for none")
    options = parser.parse_args()
    figures = {}
    if options.kafka:
        with MockCluster() as cluster:
            cluster.tell("topic", "shop", PARTITIONS)
            declared = {"name": "orders", "kind": "kafka", "brokers": cluster.brokers, "topic": "shop"}
            _produce(cluster.brokers, options.kafka)
            figures["kafka"] = _measure(declared, options.kafka)
    if options.kinesis:
        os.environ |= {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "test"}
        with moto() as url:
            declared = {
                "name": "clicks",
                "kind": "kinesis",
                "stream": "shop",
                "region": "eu-west-1",
                "endpoint_url": url,
            }
            _put(url, options.kinesis)
            figures["kinesis"] = _measure(declared, options.kinesis)
    table = Table(title="messages a second")
    for column in ("stream", "messages", "read for nothing", "to raw.events", "of it", "peak MiB"):
        table.add_column(column, justify="right")
    for name, found in figures.items():
        share = f"{found['loaded_per_second'] / found['read_per_second']:.0%}"
        numbers = (f"{found[key]:,}" for key in ("messages", "read_per_second", "loaded_per_second"))
        table.add_row(name, *numbers, share, str(found["peak_mib"]))
    Console().print(table)
    print(json.dumps(figures))


def _events(count: int) -> Iterator[bytes]:
    """As long as a shop's events are, about 330 bytes, of ten thousand users."""
    for number in range(count):
        event = {
            "type": "track", "messageId": f"m-{number:010}", "userId": f"user-{number % 10_000:06}",
            "anonymousId": f"device-{number % 10_000:030}", "event": "Product Viewed",
            "timestamp": "2026-11-24T10:00:00.000Z",
            "properties": {"product_id": f"sku-{number % 500:04}", "category": "shoes", "price": 79.9,
                           "url": "https://shop.example/p/11"},
        }  # fmt: skip
        yield json.dumps(event).encode()


def _produce(brokers: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": brokers, "queue.buffering.max.messages": 2_000_000, "log_level": 0})
    for number, text in enumerate(_events(count)):
        producer.produce("shop", text, key=text[30:40], partition=number % PARTITIONS)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0


def _put(url: str, count: int) -> None:
    client: Any = boto3.client("kinesis", region_name="eu-west-1", endpoint_url=url)
    client.create_stream(StreamName="shop", ShardCount=1)
    events = list(_events(count))
    for first in range(0, count, 500):
        records = [{"Data": text, "PartitionKey": "k"} for text in events[first : first + 500]]
        client.put_records(StreamName="shop", Records=records)


def _measure(declared: dict[str, str], count: int) -> dict[str, Any]:
    with _home({**declared, "max_rows": count, "max_bytes": 2 * 1024**3, "max_seconds": 600}) as settings:
        (source,) = [one for one in read_declarations(settings.sources_path) if isinstance(one, StreamDeclaration)]
        with closing(reader_of(source)) as reader:
            read_seconds = _seconds(lambda: _assert(sum(len(one.messages) for one in reader.read({})) == count))
        with connect(settings.warehouse_path):  # made beforehand
            pass
        loaded_seconds = _seconds(lambda: _assert(load_batch(settings.warehouse_path, settings).events_loaded == count))
    return {
        "messages": count,
        "read_per_second": round(count / read_seconds),
        "loaded_per_second": round(count / loaded_seconds),
        "peak_mib": round(peak_kib() / 1024),
    }


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _assert(holds: bool) -> None:
    assert holds, "every message is read"


@contextmanager
def _home(declared: dict[str, Any]) -> Iterator[Settings]:
    with tempfile.TemporaryDirectory() as home:
        settings = Settings.all_in(Path(home))
        settings.sources_path.mkdir()
        settings.landing_path.mkdir()
        text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in declared.items())
        (settings.sources_path / "stream.yml").write_text(text)
        yield settings


if __name__ == "__main__":
    main()
