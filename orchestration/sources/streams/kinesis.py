"""Kinesis: a stream's records, by boto3; records that a producer library packed together are taken apart.

A position is `<sequence number>/<records read of the shard so far>`: sequence numbers are too long for a line number,
so the second part numbers the lines. `@<time>` is a shard to be read from a time on; `end` is one that was closed by a
split or a merge and read to its end. Only then are its children begun, or a user's events could overtake each other.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import boto3  # type: ignore[import-untyped]
from aws_kinesis_agg.deaggregator import iter_deaggregate_records  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from pydantic import Field

from orchestration.sources.streams.base import (
    Gap,
    Portion,
    Position,
    SourceStopped,
    SourceUnavailable,
    StreamDeclaration,
)
from orchestration.sources.streams.messages import Messages

END = "end"
ANSWER_SECONDS = 5.0
ATTEMPTS = 5
CALL_RECORDS = 10_000  # the most that GetRecords gives, and 10 MB
THROTTLED = ("ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException")
GONE = ("InvalidArgumentException",)  # what a sequence number older than the retention is answered with


class KinesisSource(StreamDeclaration):
    """A declared stream. Credentials come from where boto3 finds them: the environment, a profile, a machine's role."""

    kind: Literal["kinesis"]
    stream: str = Field(min_length=1)
    region: str = Field(min_length=1)
    endpoint_url: str | None = None


@dataclass(frozen=True)
class _Shard:
    id: str
    parents: tuple[str, ...]


@dataclass
class _Place:
    """Where one shard is: the last sequence number read, or the time from which on; and how many records that were."""

    sequence: str | None
    at: datetime | None
    count: int

    @classmethod
    def of(cls, position: str) -> _Place:
        if position.startswith("@"):
            return cls(None, datetime.fromisoformat(position[1:]), 0)
        sequence, _, count = position.partition("/")
        return cls(sequence or None, None, int(count or 0))

    def __str__(self) -> str:
        return f"@{self.at.isoformat()}" if self.at and not self.sequence else f"{self.sequence or ''}/{self.count}"


class KinesisReader:
    def __init__(self, source: KinesisSource) -> None:
        self._source = source
        config = Config(
            connect_timeout=ANSWER_SECONDS,
            read_timeout=ANSWER_SECONDS,
            retries={"mode": "standard", "max_attempts": ATTEMPTS},
            user_agent_extra="tripline",
        )
        with self._told():
            self._client: Any = boto3.client(
                "kinesis", region_name=source.region, endpoint_url=source.endpoint_url, config=config
            )

    def close(self) -> None:
        self._client.close()

    def committed(self, portions: Sequence[Portion]) -> None:
        """Nothing: Kinesis keeps no positions."""

    def waiting(self, known: Mapping[str, Position]) -> Mapping[str, int]:
        """1 for each shard that has something: Kinesis does not say how much."""
        found = {}
        shards = self._shards()
        for shard in self._open(shards, known):
            place = self._begin(shard, known.get(shard.id))
            with self._told():
                answer = self._client.get_records(ShardIterator=self._iterator(shard.id, place), Limit=1)
            found[shard.id] = int(bool(answer["Records"]) or answer["MillisBehindLatest"] > 0)
        return found

    def read(self, known: Mapping[str, Position]) -> list[Portion]:
        shards, created = self._shards(), self._created()
        gaps = self._gaps(known, created)
        deadline = time.monotonic() + self._source.max_seconds
        left = self._source.max_rows
        size = self._source.max_bytes
        ended = {name for name, at in known.items() if at.position == END and name not in gaps}
        portions = list[Portion]()
        waiting = sorted(shards, key=lambda shard: shard.id)
        # Children of a shard that is read to its end just now are begun in the same batch.
        while ready := [shard for shard in waiting if shard.id not in ended and self._is_ready(shard, shards, ended)]:
            waiting = [shard for shard in waiting if shard not in ready]
            for shard in ready:
                at, gap = known.get(shard.id), gaps.get(shard.id)
                if at and gap:  # line numbers go on, or two records would have one place
                    at = replace(at, position=f"/{_Place.of(at.position).count}", seen_through=None)
                portion = self._read_shard(shard, at, left, size, deadline)
                portion.stream_id, portion.gap = created, portion.gap or gap
                left -= len(portion.messages)
                size -= portion.messages.nbytes
                portions.append(portion)
                if portion.next_position == END:
                    ended.add(shard.id)
        return portions

    def _created(self) -> str:
        """When the stream was made, which tells it from an earlier one of its name."""
        with self._told():
            summary = self._client.describe_stream_summary(StreamName=self._source.stream)
            return str(summary["StreamDescriptionSummary"]["StreamCreationTimestamp"])

    def _gaps(self, known: Mapping[str, Position], created: str) -> dict[str, Gap]:
        """Raises SourceStopped."""
        anew = "the stream was deleted and made anew"
        gaps = {
            name: Gap(name, at.position, "", anew)
            for name, at in known.items()
            if at.stream_id and at.stream_id != created
        }
        if gaps and self._source.on_gap == "stop":
            raise self._stopped(", ".join(gaps), anew)
        return gaps

    def _stopped(self, shards: str, reason: str) -> SourceStopped:
        return SourceStopped(
            f"{self._source.name}: {shards}: {reason}",
            f"to go on at the oldest record, with a row in raw.stream_gaps, set `on_gap: skip` in {self._source.path}",
        )

    def _is_ready(self, shard: _Shard, shards: Sequence[_Shard], ended: set[str]) -> bool:
        names = {one.id for one in shards}
        return all(parent in ended or parent not in names for parent in shard.parents)

    def _open(self, shards: Sequence[_Shard], known: Mapping[str, Position]) -> list[_Shard]:
        ended = {name for name, at in known.items() if at.position == END}
        return [shard for shard in shards if shard.id not in ended and self._is_ready(shard, shards, ended)]

    def _shards(self) -> list[_Shard]:
        with self._told():
            pages = self._client.get_paginator("list_shards").paginate(StreamName=self._source.stream)
            return [
                _Shard(
                    shard["ShardId"],
                    tuple(filter(None, (shard.get("ParentShardId"), shard.get("AdjacentParentShardId")))),
                )
                for page in pages
                for shard in page["Shards"]
            ]

    def _begin(self, shard: _Shard, at: Position | None) -> _Place:
        if at is not None:
            return _Place.of(at.position)
        # Children are read whole: what they have came after what was read of their parents.
        if self._source.start == "latest" and not shard.parents:
            return _Place(None, datetime.now(UTC), 0)
        return _Place(None, None, 0)

    def _iterator(self, shard: str, place: _Place) -> str:
        kind: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if place.sequence:
            kind = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": place.sequence}
        elif place.at:
            kind = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": place.at}
        answer = self._client.get_shard_iterator(StreamName=self._source.stream, ShardId=shard, **kind)
        return str(answer["ShardIterator"])

    def _read_shard(self, shard: _Shard, at: Position | None, rows: int, size: int, deadline: float) -> Portion:
        """Up to the tip of the shard, or to the batch's bounds; packed records are never parted."""
        place, messages = self._begin(shard, at), Messages()
        portion = Portion(shard.id, str(place), seen_through=at.seen_through if at else None)
        iterator: str | None = None
        behind = None
        while len(messages) < rows and messages.bytes < size and time.monotonic() < deadline:
            try:
                iterator = iterator or self._first_iterator(shard.id, place, portion)
                answer = self._client.get_records(ShardIterator=iterator, Limit=min(CALL_RECORDS, rows - len(messages)))
            except (ClientError, BotoCoreError) as error:
                code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
                if code == "ExpiredIteratorException":
                    iterator = None
                    continue
                if code not in THROTTLED:
                    portion.error = f"{code or type(error).__name__}: {error}"
                break
            self._take(answer["Records"], messages, place)
            behind, iterator = answer["MillisBehindLatest"], answer.get("NextShardIterator")
            if iterator is None:
                portion.next_position = END
                break
            if behind == 0 and not answer["Records"]:
                break
        if portion.next_position != END:
            portion.next_position = str(place)
        portion.messages = messages.table()
        portion.waiting = int(bool(behind))
        portion.seen_through = self._seen(portion, messages, behind, answer if behind is not None else None)
        return portion

    def _first_iterator(self, shard: str, place: _Place, portion: Portion) -> str:
        """Raises SourceStopped where the place is none any more and nobody allowed to go on."""
        try:
            return self._iterator(shard, place)
        except ClientError as error:
            if error.response["Error"]["Code"] not in GONE or not place.sequence:
                raise
            if self._source.on_gap == "stop":
                lost = f"what follows {place.sequence} was deleted before it was read"
                raise self._stopped(shard, lost) from None
            portion.gap = Gap(shard, place.sequence, "", "the sequence number is gone")
            place.sequence = None
            return self._iterator(shard, place)

    def _take(self, records: Sequence[Mapping[str, Any]], messages: Messages, place: _Place) -> None:
        for record in records:
            arrived = record["ApproximateArrivalTimestamp"]
            for part in _unpacked(record):
                place.count += 1
                messages.add(
                    place.count,
                    f"{record['SequenceNumber']}/{part.sub_sequence}",
                    part.data,
                    arrived,
                    key=part.key,
                )
            place.sequence = record["SequenceNumber"]

    def _seen(self, portion: Portion, messages: Messages, behind: int | None, answer: Any) -> datetime | None:
        """Kinesis says how far behind its tip a read was: the shard is complete up to its own time less that."""
        told = [portion.seen_through, messages.last_received_at]
        if answer is not None and not portion.error:
            now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
            told.append(now.astimezone(UTC).replace(tzinfo=None) - timedelta(milliseconds=behind or 0))
        return max(filter(None, told), default=None)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            raise SourceUnavailable(
                f"{self._source.name}: {error}",
                f"look after the stream, the credentials or {self._source.path}; the next batch tries again",
            ) from None


@dataclass(frozen=True)
class _Part:
    data: bytes
    key: str
    sub_sequence: int


def _unpacked(record: Mapping[str, Any]) -> Iterator[_Part]:
    """The records that a producer library put into one (KPL's aggregated record format); else the record itself."""
    for part in iter_deaggregate_records([dict(record)], data_format="Boto3"):
        told = part["kinesis"]
        data = base64.b64decode(told["data"]) if told.get("aggregated") else told["data"]
        yield _Part(data, told["partitionKey"], int(told.get("subSequenceNumber") or 0))
