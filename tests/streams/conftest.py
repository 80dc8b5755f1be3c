"""A topic on real brokers, a warehouse that reads it, and nothing patched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer

from orchestration.load import load_batch
from orchestration.load_report import BatchReport
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.streams.mock_cluster import MockCluster


def event(message_id: str, **fields: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": message_id, "userId": "ada", "event": "Product Viewed", **fields}


class Shop:
    """What a test does: produce, load, look. Each has a topic of its own."""

    def __init__(self, settings: Settings, brokers: str, partitions: int = 3) -> None:
        self.settings, self.brokers, self.partitions = settings, brokers, partitions
        self.topic = f"shop-{uuid4().hex[:8]}"
        self.declared: dict[str, Any] = {"name": "orders", "kind": "kafka", "brokers": brokers, "topic": self.topic}
        self.declare()

    def declare(self, **more: Any) -> Path:
        self.declared |= more
        path = self.settings.sources_path / "orders.yml"
        path.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in self.declared.items()))
        return path

    def produce(self, *values: Any, partition: int = 0, **more: Any) -> None:
        producer = Producer({"bootstrap.servers": self.brokers, "log_level": 0})
        for value in values:
            content = value if isinstance(value, bytes | None) else json.dumps(value).encode()
            producer.produce(self.topic, content, partition=partition, **more)
        assert producer.flush(20) == 0

    def load(self, **options: Any) -> BatchReport:
        return load_batch(self.settings.warehouse_path, self.settings, **options)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.settings.warehouse_path, wait_seconds=10) as connection:
            return connection.execute(sql).fetchall()

    @property
    def ids(self) -> list[str]:
        """Every event that counts, in the order of its arrival."""
        return [
            name for (name,) in self.rows("select event_id from raw.events where not is_duplicate order by event_seq")
        ]


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings.all_in(tmp_path).model_copy(update={"settle_seconds": 0.0})
    settings.landing_path.mkdir(parents=True)
    settings.sources_path.mkdir(parents=True)
    return settings


@pytest.fixture
def shop(settings: Settings, cluster: MockCluster) -> Shop:
    shop = Shop(settings, cluster.brokers)
    cluster.tell("topic", shop.topic, shop.partitions)
    return shop


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def milliseconds(text: str) -> int:
    return round(utc(text).timestamp() * 1_000)
