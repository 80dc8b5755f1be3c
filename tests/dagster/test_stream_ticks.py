"""What the sensor of the streams asks for, and when it does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from orchestration.load import load_batch
from orchestration.settings import Settings
from tests.dagster.conftest import BATCH_JOB, Tick
from tests.streams.conftest import Shop, event
from tests.streams.mock_cluster import MockCluster

pytestmark = pytest.mark.xdist_group("dagster")

Look = Callable[[], Tick]


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        yield cluster


@pytest.fixture
def look(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Look:
    return lambda: Tick(definitions, instance, "stream_messages_waiting_sensor")


@pytest.fixture
def topic(home: Settings, cluster: MockCluster) -> Shop:
    home.sources_path.mkdir(parents=True)
    home.landing_path.mkdir(parents=True)
    topic = Shop(home, cluster.brokers)
    cluster.tell("topic", topic.topic, topic.partitions)
    return topic


def test_without_streams_no_broker_is_asked_for(home: Settings, look: Look) -> None:
    assert look().skip == "no stream is declared"


def test_messages_that_wait_are_asked_for_once_until_a_batch_has_read_them(topic: Shop, look: Look) -> None:
    assert "nothing waits" in look().skip
    topic.produce(event("a"))
    first = look().key
    assert look().key == first
    topic.produce(event("b"))
    assert look().key != first
    load_batch(topic.settings.warehouse_path, topic.settings)
    assert "nothing waits" in look().skip


def test_none_is_asked_for_while_a_batch_is_under_way(
    topic: Shop, look: Look, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    topic.produce(event("a"))
    instance.create_run_for_job(definitions.get_job_def(BATCH_JOB), status=DagsterRunStatus.STARTED)
    assert "started" in look().skip


def test_brokers_that_are_down_and_declarations_that_make_no_sense_are_told(topic: Shop, look: Look) -> None:
    with MockCluster() as gone:
        brokers = gone.brokers
    topic.declare(brokers=brokers)
    assert "orders" in look().skip
    path = topic.declare(on_gap="jump")
    assert f"{path.name}, line" in look().skip
    path.write_text(json.dumps({"name": "orders", "kind": "nothing"}))
    assert "none of files" in look().skip
