"""The streams of one batch: what they have is read into load_records, from where the last batch left off."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from orchestration.errors import ConfigError, TriplineError
from orchestration.load_report import PartitionReport
from orchestration.sources.declarations import Source
from orchestration.sources.streams.base import (
    Portion,
    Position,
    SourceStopped,
    SourceUnavailable,
    StreamDeclaration,
    StreamReader,
)
from orchestration.warehouse import read_sql


@dataclass
class StreamRead:
    """One stream's part of the batch. `known`: where it was read from."""

    source: StreamDeclaration
    reader: StreamReader
    known: dict[str, Position]
    portions: list[Portion]

    @property
    def has_news(self) -> bool:
        return any(self.is_news(portion) for portion in self.portions)

    def is_news(self, portion: Portion) -> bool:
        """A partition seen for the first time is: where it begins has to be remembered, or `latest` would skip what
        comes until the next batch."""
        return bool(len(portion.messages) or portion.gap or portion.partition not in self.known)


@dataclass
class BatchStreams:
    """`problems`: streams, or partitions, that could not be read: (name, why)."""

    read: list[StreamRead] = field(default_factory=list)
    problems: list[tuple[str, TriplineError]] = field(default_factory=list)
    reports: list[PartitionReport] = field(default_factory=list)

    @property
    def has_news(self) -> bool:
        return any(one.has_news for one in self.read)

    def close(self) -> None:
        for one in self.read:
            with suppress(Exception):  # the batch is in, or is not; a broker cannot change that now
                one.reader.close()

    def committed(self) -> None:
        for one in self.read:
            one.reader.committed(one.portions)


def stage_streams(
    connection: duckdb.DuckDBPyConnection, declarations: list[Source], first_index: int, now: datetime
) -> BatchStreams:
    """Adds to the temporary tables of the batch; `first_index` is the first free file_index, `now` is UTC without zone.

    A stream that cannot be read is among the problems, and the others are loaded.
    """
    streams, index = BatchStreams(), first_index
    try:
        for source in declarations:
            if not isinstance(source, StreamDeclaration) or source.is_paused:
                continue
            try:
                one = _read(connection, source)
            except (SourceUnavailable, SourceStopped, ConfigError) as error:
                streams.problems.append((source.name, error))
                continue
            streams.read.append(one)
            index = _stage(connection, one, index, now, streams)
    except BaseException:
        streams.close()
        raise
    return streams


def known_positions(connection: duckdb.DuckDBPyConnection, source_name: str) -> dict[str, Position]:
    rows = connection.execute(read_sql("load_positions"), {"source_name": source_name}).fetchall()
    return {row[0]: Position(*row) for row in rows}


def assert_unmoved(connection: duckdb.DuckDBPyConnection, streams: BatchStreams) -> None:
    """Inside the transaction. Raises duckdb.TransactionException where another batch read on meanwhile."""
    for one in streams.read:
        if known_positions(connection, one.source.name) != one.known:
            raise duckdb.TransactionException(f"{one.source.name} was read by another batch meanwhile; try again")


def reader_of(source: StreamDeclaration) -> StreamReader:
    """Raises ConfigError, SourceUnavailable."""
    if source.kind == "kafka":
        from orchestration.sources.streams.kafka import KafkaReader, KafkaSource

        assert isinstance(source, KafkaSource)
        return KafkaReader(source)
    from orchestration.sources.streams.kinesis import KinesisReader, KinesisSource

    assert isinstance(source, KinesisSource)
    return KinesisReader(source)


def _read(connection: duckdb.DuckDBPyConnection, source: StreamDeclaration) -> StreamRead:
    known = known_positions(connection, source.name)
    reader = reader_of(source)
    try:
        return StreamRead(source, reader, known, reader.read(known))
    except BaseException:
        reader.close()
        raise


def _stage(
    connection: duckdb.DuckDBPyConnection, one: StreamRead, index: int, now: datetime, streams: BatchStreams
) -> int:
    """Returns the next free file_index."""
    positions, gaps = list[dict[str, Any]](), list[dict[str, Any]]()
    for portion in one.portions:
        if one.is_news(portion):
            _insert(connection, portion.messages, index, one.source.name, f"{one.source.name}:{portion.partition}")
            index += 1
        if portion.error:
            error = SourceUnavailable(f"{portion.partition} cannot be read: {portion.error}")
            streams.problems.append((one.source.name, error))
        position = _position(one, portion, now)
        positions.append(position)
        streams.reports.append(PartitionReport(messages=len(portion.messages), **position))
        if portion.gap:
            gaps.append({"source_name": one.source.name, **vars(portion.gap)})
    for table, rows in (("load_stream_positions", positions), ("load_stream_gaps", gaps)):
        if rows:
            connection.register("load_chunk", pa.Table.from_pylist(rows))
            connection.execute(f"insert into {table} by name select * from load_chunk")
            connection.unregister("load_chunk")
    return index


def _insert(
    connection: duckdb.DuckDBPyConnection, messages: pa.Table, index: int, source_name: str, file_name: str
) -> None:
    connection.register("load_chunk", messages)
    try:
        for statement in connection.extract_statements(read_sql("load_stream")):
            named = {"file_index": index} if "file_index" in statement.named_parameters else {}
            connection.execute(statement, named)
    finally:
        connection.unregister("load_chunk")
    connection.execute("insert into load_files values (?, ?, ?)", [index, source_name, file_name])


def _position(one: StreamRead, portion: Portion, now: datetime) -> dict[str, Any]:
    before = one.known.get(portion.partition)
    active_at = now if len(portion.messages) or before is None else before.active_at or now
    is_silent = now - active_at > timedelta(seconds=one.source.idle_seconds)
    return {
        "source_name": one.source.name,
        "partition": portion.partition,
        "position": portion.next_position,
        "stream_id": portion.stream_id,
        "seen_through": portion.seen_through,
        "active_at": active_at,
        "waiting": portion.waiting,
        "is_idle": is_silent and not portion.waiting and not portion.error,
    }
