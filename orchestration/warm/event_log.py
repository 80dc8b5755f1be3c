"""Dagster's SQLite event log; a warm worker keeps its connections.

Dagster opens a connection for each statement and has the disk confirm each commit: 423 connections and 376 commits for
a batch of 119 events. The worker of a run keeps one connection a file for its life, and has commits confirmed when
SQLite moves them out of the write-ahead log. If the machine loses power, the last events of a run under way may be
gone; the file is whole, and the run, which the power cut ended too, is told as failed. Every other process opens and
closes connections as Dagster's own class does, but keeps the engines, and with them each statement's compiled text,
and stores the events that Dagster hands over at once in one transaction.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any, ClassVar

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import NullPool, StaticPool

from orchestration.warm.places import EVENTS_AT_ONCE


class _Kept:
    """The engines of this process; `pid` is 0 where connections are not kept. A fork of the worker starts anew."""

    pid = 0
    engines: ClassVar[dict[str, Engine]] = {}


def keep_connections() -> None:
    """From now on, in this process. Its database work must go through one thread at a time, as the storage sees to."""
    _Kept.pid = os.getpid()
    _Kept.engines = {}


def close_connections() -> None:
    if _Kept.pid == os.getpid():
        for engine in _Kept.engines.values():
            engine.dispose()
    _Kept.pid = 0
    _Kept.engines = {}


def _engine(url: str) -> Engine:
    if url not in _Kept.engines:
        # A kept connection is used by every thread of the worker, one after the other.
        options = {"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False}
        engine: Engine = create_engine(url, poolclass=StaticPool, connect_args=options)
        event.listen(engine, "connect", _commit_into_the_log)
        _Kept.engines[url] = engine
    return _Kept.engines[url]


@lru_cache(maxsize=64)  # a file of each run, and the index
def _plain_engine(url: str) -> Engine:
    """Holds no connection, so that it may be used by every thread and outlive a fork and the file."""
    return create_engine(url, poolclass=NullPool, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})


def _commit_into_the_log(connection: Any, _record: object) -> None:
    connection.execute("pragma synchronous = normal")


class _Batch(threading.local):
    """The open connections of the batch of events that this thread is storing, by shard; None while it stores none."""

    connections: dict[str, Connection] | None = None
    stack: ExitStack


class WarmEventLogStorage(SqliteEventLogStorage):
    """Configured as SqliteEventLogStorage is: `base_dir`."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._batch = _Batch()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> WarmEventLogStorage:
        # Where Dagster was started by hand, before it launches anything.
        for name, value in EVENTS_AT_ONCE.items():
            os.environ.setdefault(name, value)
        return cls(inst_data=inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """In one transaction a file; where one fails, none is stored and Dagster stores them one by one."""
        with self._db_lock, ExitStack() as stack:
            self._batch.connections, self._batch.stack = {}, stack
            try:
                super().store_event_batch(events)
            finally:
                self._batch.connections = None

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        held = self._batch.connections
        if held is None:
            with self._db_lock, self._open(shard) as connection:
                yield connection
            return
        if shard not in held:
            held[shard] = self._batch.stack.enter_context(self._open(shard))
        yield held[shard]

    @contextmanager
    def _open(self, shard: str) -> Iterator[Connection]:
        url = self.conn_string_for_shard(shard)
        engine = _engine(url) if _Kept.pid == os.getpid() else _plain_engine(url)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        with engine.connect() as connection, connection.begin():
            yield connection
