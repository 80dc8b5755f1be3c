"""The stream as files in a landing folder, in the order in which the events arrived."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestration.errors import ConfigError
from orchestration.simulate.wire import Plan, Renderer, make_plan, stream_name, wire_batches

FORMATS = ("jsonl", "jsonl.gz", "parquet")
WIRE_COLUMNS = (
    "type", "messageId", "userId", "anonymousId", "event", "properties", "traits", "context",
    "timestamp", "originalTimestamp", "sentAt", "receivedAt",
)  # fmt: skip


@dataclass
class SimulationReport:
    """What was written. `duplicates` were sent again; `late` are first copies that came over a minute late."""

    files: list[Path] = field(default_factory=list)
    events: int = 0
    duplicates: int = 0
    late: int = 0
    users: int = 0
    bytes: int = 0
    seconds: float = 0.0
    first_received_at: datetime | None = None
    last_received_at: datetime | None = None
    events_by_name: dict[str, int] = field(default_factory=dict)


class _Writer(Protocol):
    def write(self, events: pa.Table) -> None: ...

    def close(self) -> None: ...


def line_bytes(lines: pa.Table) -> Iterator[memoryview]:
    """The text of the column `line` as it lies in memory, no copy a line."""
    for chunk in lines["line"].chunks:
        offsets = np.frombuffer(chunk.buffers()[1], dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        yield memoryview(chunk.buffers()[2])[int(offsets[0]) : int(offsets[-1])]


class _LineWriter:
    def __init__(self, path: Path, renderer: Renderer, *, is_gzip: bool) -> None:
        self._file: BinaryIO = path.open("wb")
        self._renderer = renderer
        # A gzip header without name or time: the same events are the same bytes. Level 1: written once, read once.
        self._gzip = zlib.compressobj(1, zlib.DEFLATED, 31) if is_gzip else None

    def write(self, events: pa.Table) -> None:
        for text in line_bytes(self._renderer.lines(events)):
            self._file.write(self._gzip.compress(text) if self._gzip else text)

    def close(self) -> None:
        if self._gzip:
            self._file.write(self._gzip.flush())
        self._file.close()


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None

    def write(self, events: pa.Table) -> None:
        table = events.select(WIRE_COLUMNS)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd", compression_level=1)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Files:
    """Cuts the stream into files of equal size; each appears under its name only when it is whole."""

    def __init__(self, out_dir: Path, plan: Plan, files: int, file_format: str, renderer: Renderer) -> None:
        self._out_dir, self._plan, self._count, self._format, self._renderer = (
            out_dir,
            plan,
            files,
            file_format,
            renderer,
        )
        self._writer: _Writer | None = None
        self._name = ""
        self._written = 0
        self._index = 0
        self.done: list[Path] = []

    @property
    def _draft(self) -> Path:
        return self._out_dir / f".{self._name}.tmp"

    def _open(self, first_received_ms: int) -> _Writer:
        stamp = datetime.fromtimestamp(first_received_ms / 1_000, UTC).strftime("%Y%m%dT%H%M%S")
        self._name = f"shop-{self._index + 1:06d}-{stamp}.{self._format}"
        if self._format == "parquet":
            return _ParquetWriter(self._draft)
        return _LineWriter(self._draft, self._renderer, is_gzip=self._format == "jsonl.gz")

    def add(self, events: pa.Table) -> None:
        while len(events):
            end = self._plan.events * (self._index + 1) // self._count
            part = events.slice(0, end - self._written)
            if self._writer is None:
                self._writer = self._open(part["received_ms"][0].as_py())
            self._writer.write(part)
            self._written += len(part)
            events = events.slice(len(part))
            if self._written == end:
                self._writer.close()
                self._writer = None
                self._index += 1
                self.done.append(self._draft.rename(self._out_dir / self._name))

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._draft.unlink(missing_ok=True)


def _count(report: SimulationReport, names: Counter[str], events: pa.Table) -> None:
    report.events += len(events)
    report.duplicates += int(pc.sum(events["copy"]).as_py() or 0)
    is_late = pc.greater(pc.subtract(events["received_ms"], events["happened_ms"]), 60_000)
    report.late += int(pc.sum(pc.and_(is_late, pc.equal(events["copy"], 0))).as_py() or 0)
    for entry in pc.value_counts(pc.coalesce(events["event"], events["type"])).to_pylist():
        names[entry["values"]] += entry["counts"]
    if len(events):
        first, last = events["received_ms"][0].as_py(), events["received_ms"][-1].as_py()
        report.first_received_at = report.first_received_at or datetime.fromtimestamp(first / 1_000, UTC)
        report.last_received_at = datetime.fromtimestamp(last / 1_000, UTC)


def simulate(
    out_dir: Path,
    *,
    events: int,
    days: float | None = None,
    users: int | None = None,
    seed: int = 0,
    start: datetime | None = None,
    files: int = 1,
    format: str = "jsonl",
    late_share: float = 0.02,
    duplicate_share: float = 0.01,
    anonymous_share: float = 0.1,
    progress: Callable[[int], Any] | None = None,
) -> SimulationReport:
    """Writes `events` shop events in Segment format to `files` files in `out_dir`, in the order of `receivedAt`.

    The order of the names is the order of arrival. The same arguments give the same bytes. `days` is a month unless
    given, `users` a person per 50 events, `start` DEFAULT_START (no zone means UTC). `late_share` of the events come
    minutes to days late, `duplicate_share` are sent again, `anonymous_share` of the people never sign in.
    `progress` is called with the number of events written so far. Raises ConfigError for an argument out of range.
    """
    began = time.monotonic()
    plan = make_plan(
        events=events,
        days=days,
        users=users,
        seed=seed,
        start=start,
        late_share=late_share,
        duplicate_share=duplicate_share,
        anonymous_share=anonymous_share,
    )
    if format not in FORMATS:
        raise ConfigError(f"format is {format}", f"give one of {', '.join(FORMATS)}")
    if not 1 <= files <= events:
        raise ConfigError(f"files is {files}", f"give a number from 1 to the number of events, {events}")
    out_dir.mkdir(parents=True, exist_ok=True)
    report, names = SimulationReport(users=plan.users), Counter[str]()
    renderer = Renderer(stream_name(plan), str(plan.seed))
    output = _Files(out_dir, plan, files, format, renderer)
    try:
        for batch in wire_batches(plan, renderer):
            output.add(batch)
            _count(report, names, batch)
            if progress:
                progress(report.events)
    finally:
        output.abandon()
        renderer.close()
    report.files = output.done
    report.bytes = sum(path.stat().st_size for path in output.done)
    report.events_by_name = dict(sorted(names.items()))
    report.seconds = time.monotonic() - began
    return report
