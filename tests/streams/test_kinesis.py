"""A Kinesis stream into raw.events, as two implementations of it speak: each record exactly once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from aws_kinesis_agg.aggregator import RecordAggregator

from orchestration.load import load_batch
from orchestration.load_report import BatchReport
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.streams.conftest import event
from tests.streams.kinesis import Proxy, kinesalite, moto
from tests.streams.test_kafka_kills import loaders

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "canary-9"}
TOP = str(2**128 - 1)


@pytest.fixture(scope="module", params=["moto", "kinesalite"])
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = moto() if request.param == "moto" else kinesalite(tmp_path_factory.mktemp("node"))
    with server as url:
        yield url


class Stream:
    """What a test does: put records, split and merge shards, load, look."""

    def __init__(self, settings: Settings, endpoint: str, shards: int = 1) -> None:
        self.settings, self.name = settings, f"shop-{uuid4().hex[:8]}"
        self.client: Any = boto3.client("kinesis", region_name="eu-west-1", endpoint_url=endpoint)
        self.client.create_stream(StreamName=self.name, ShardCount=shards)
        self.wait()
        self.declared: dict[str, Any] = {
            "name": "clicks", "kind": "kinesis", "stream": self.name, "region": "eu-west-1", "endpoint_url": endpoint,
        }  # fmt: skip
        self.declare()

    def wait(self) -> None:
        self.client.get_waiter("stream_exists").wait(StreamName=self.name, WaiterConfig={"Delay": 1})

    def declare(self, **more: Any) -> None:
        self.declared |= more
        text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in self.declared.items())
        (self.settings.sources_path / "clicks.yml").write_text(text)

    def put(self, *values: Any, key: str = "ada", hash_key: str | None = None) -> None:
        more = {"ExplicitHashKey": hash_key} if hash_key else {}
        for value in values:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.client.put_record(StreamName=self.name, Data=content, PartitionKey=key, **more)

    def open_shards(self) -> list[dict[str, Any]]:
        shards = self.client.list_shards(StreamName=self.name)["Shards"]
        return [shard for shard in shards if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]

    def split(self) -> None:
        (shard,) = self.open_shards()
        self.client.split_shard(StreamName=self.name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(2**127))
        self.wait()

    def merge(self) -> None:
        left, right = sorted(self.open_shards(), key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))
        self.client.merge_shards(
            StreamName=self.name, ShardToMerge=left["ShardId"], AdjacentShardToMerge=right["ShardId"]
        )
        self.wait()

    def load(self) -> BatchReport:
        return load_batch(self.settings.warehouse_path, self.settings)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.settings.warehouse_path, wait_seconds=10) as connection:
            return connection.execute(sql).fetchall()

    @property
    def ids(self) -> list[str]:
        return [name for (name,) in self.rows("select event_id from raw.events order by event_seq")]


@pytest.fixture
def stream(settings: Settings, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Stream:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return Stream(settings, endpoint)


def test_each_batch_goes_on_where_the_last_one_ended(stream: Stream) -> None:
    stream.put(*(event(f"a{number}") for number in range(5)), b"poison")
    first = stream.load()
    assert (first.events_read, first.events_loaded, first.events_quarantined) == (6, 5, 1)
    assert first.sources[0].complete_through is not None
    assert stream.load().batch_id is None, "nothing new is no batch"
    stream.put(event("b0"))
    assert stream.load().events_loaded == 1
    assert stream.ids == ["a0", "a1", "a2", "a3", "a4", "b0"]
    places = stream.rows("select line_number from raw.stream_messages order by batch_id, line_number")
    assert places == [(number,) for number in range(1, 8)], "a line number is given once"


def test_a_batch_is_bounded_and_the_next_ones_take_the_rest(stream: Stream) -> None:
    stream.declare(max_rows=4)
    stream.put(*(event(f"m{number}") for number in range(10)))
    assert [stream.load().events_read for _ in range(4)] == [4, 4, 2, 0]
    assert stream.ids == [f"m{number}" for number in range(10)]


def test_records_that_a_producer_packed_together_are_taken_apart_with_their_own_keys(stream: Stream) -> None:
    packer = RecordAggregator()
    for number in range(3):
        packer.add_user_record(f"user-{number}", json.dumps(event(f"p{number}")).encode())
    _, _, data = packer.clear_and_get().get_contents()
    stream.put(event("before"), data, event("after"))
    assert stream.load().events_loaded == 5
    assert stream.ids == ["before", "p0", "p1", "p2", "after"]
    kept = stream.rows("select message_key, position from raw.stream_messages order by line_number")
    assert [key for key, _ in kept] == ["ada", "user-0", "user-1", "user-2", "ada"]
    assert [position.split("/")[1] for _, position in kept] == ["0", "0", "1", "2", "0"]


# moto moves what a shard has into its children, which Kinesis does not.
@pytest.mark.parametrize("endpoint", ["kinesalite"], indirect=True)
def test_after_a_split_and_a_merge_parents_are_drained_before_their_children(stream: Stream) -> None:
    stream.put(event("parent0"))
    stream.load()
    stream.put(event("parent1"))
    stream.split()
    stream.put(event("left"), hash_key="1")
    stream.put(event("right"), hash_key=TOP)
    stream.merge()
    stream.put(event("merged"))
    while stream.load().events_read:
        pass
    assert stream.ids[:2] == ["parent0", "parent1"]
    assert sorted(stream.ids[2:4]) == ["left", "right"]
    assert stream.ids[4:] == ["merged"]
    ended = stream.rows("select count(distinct partition) from raw.stream_positions where position = 'end'")
    assert ended == [(3,)]


def test_a_stream_that_is_not_there_holds_up_no_other_source_and_tells_no_secret(
    stream: Stream, settings: Settings
) -> None:
    stream.declare(stream="nobody-made-it")
    (settings.landing_path / "a.jsonl").write_text(json.dumps({**event("file"), "timestamp": "2026-11-24"}) + "\n")
    report = stream.load()
    assert report.events_loaded == 1
    assert "ResourceNotFound" in report.streams_failed[0].reason
    assert "canary-9" not in report.model_dump_json()


def test_a_stream_made_anew_is_told_and_goes_on_only_where_a_person_said_so(stream: Stream) -> None:
    stream.put(*(event(f"old{number}") for number in range(3)))
    stream.load()
    stream.client.delete_stream(StreamName=stream.name)
    stream.client.get_waiter("stream_not_exists").wait(StreamName=stream.name, WaiterConfig={"Delay": 1})
    time.sleep(1.1)  # kinesalite tells when a stream was made in whole seconds
    stream.client.create_stream(StreamName=stream.name, ShardCount=1)
    stream.wait()
    stream.put(event("new"))
    (note,) = stream.load().streams_failed
    assert "made anew" in note.reason and "on_gap: skip" in note.what_to_do and not note.retry
    stream.declare(on_gap="skip")
    assert stream.load().events_loaded == 1
    assert stream.ids == ["old0", "old1", "old2", "new"]
    assert len(stream.rows("select * from raw.stream_gaps")) == 1


@pytest.mark.parametrize("trouble", ["ExpiredIteratorException", "ProvisionedThroughputExceededException"])
def test_iterators_that_expire_and_throttling_lose_nothing_and_copy_nothing(
    stream: Stream, endpoint: str, trouble: str
) -> None:
    stream.put(*(event(f"m{number}") for number in range(6)))
    with Proxy(endpoint) as proxy:
        stream.declare(endpoint_url=proxy.url, max_rows=2)
        for _ in range(4):
            proxy.troubles = [trouble]
            stream.load()
    assert stream.ids == [f"m{number}" for number in range(6)]


# Both would show the same, and it takes half a minute.
@pytest.mark.parametrize("endpoint", ["kinesalite"], indirect=True)
def test_killed_after_any_statement_and_restarted_each_record_is_in_exactly_once(stream: Stream) -> None:
    stream.declare(max_rows=3)
    names = [f"m{number}" for number in range(20)]
    stream.put(*map(event, names))
    stream.load()
    process = loaders("killed", stream.settings.home)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert int(out) > 30, "the loader must be killed at every step, or this shows nothing"
    assert stream.rows("select sum(events_read) from raw.load_batches")[0][0] > 6, "some were killed after the commit"
    while stream.load().events_read:
        pass
    assert stream.ids == names
