"""CSV (RFC 4180), cut into records and fields by positions, so that one bad record costs only itself.

DuckDB's and Arrow's readers give up on a file with mixed line ends, or lose everything after a stray quote.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from orchestration.errors import InputError
from orchestration.sources.blocks import Positions, cut, positions_of, read_blocks

Flags = np.ndarray[Any, np.dtype[np.bool_]]
QUOTE, NEWLINE = 34, 10
BLOCK_BYTES = 16 * 1024 * 1024
MAX_RECORD_BYTES = 16 * 1024 * 1024  # a quote nobody closes must not swallow the rest of a large file


@dataclass(frozen=True)
class Records:
    """`good`: line_number, raw (the record's text), and one text column per column of the header, quotes and
    separators still on. `bad`: line_number, raw. Line numbers are those of the record's first line in the file."""

    good: pa.Table
    bad: pa.Table


def read_records(path: Path, delimiter: str = ",", block_bytes: int = BLOCK_BYTES) -> Iterator[Records]:
    """Raises InputError where the file is broken or has no usable header."""
    header: list[str] | None = None
    data, line = b"", 1
    for block, is_last in _with_last(read_blocks(path, block_bytes)):
        data += block
        if header is None:
            end = _record_end(data) or (len(data) if is_last else 0)
            if not end:
                continue
            header = _header(data[:end], delimiter)
            data, line = data[end:], line + data[:end].count(b"\n")
        cutter = _Cutter(data, delimiter, len(header), line, is_last)
        yield cutter.records(header)
        line += data[: cutter.start].count(b"\n")
        data = data[cutter.start :]


def read_header(path: Path, delimiter: str = ",") -> list[str]:
    data = next(read_blocks(path, 1024 * 1024), b"")
    return _header(data[: _record_end(data) or len(data)], delimiter) if data else []


def _with_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    previous = next(blocks, None)
    if previous is None:
        return
    for block in blocks:
        yield previous, False
        previous = block
    yield previous, True


def _record_end(data: bytes) -> int:
    ends = positions_of(data, NEWLINE)
    whole = ends[np.searchsorted(positions_of(data, QUOTE), ends) % 2 == 0]
    return int(whole[0]) + 1 if len(whole) else 0


def _header(data: bytes, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader([data.decode("utf-8")], delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"the header is no CSV: {error}") from error
    names = [name.strip() for name in names]
    doubles = {name for name in names if names.count(name) > 1}
    if not names or doubles or not all(names):
        raise InputError(f"the header must name every column once; it is {data[:200].decode('utf-8').strip()!r}")
    return names


class _Cutter:
    def __init__(self, data: bytes, delimiter: str, width: int, line: int, is_last: bool) -> None:
        # A last record without a line end is given one, which its text is rid of again in the SQL.
        self.data = data + b"\n" if is_last and data and not data.endswith(b"\n") else data
        self.width, self.line, self.is_last, self.start = width, line, is_last, 0
        self.bytes = np.frombuffer(self.data, dtype=np.uint8)
        self.quotes, self.newlines = positions_of(self.data, QUOTE), positions_of(self.data, NEWLINE)
        self.separators = np.union1d(positions_of(self.data, ord(delimiter)), self.newlines)
        self.good: list[Positions] = []
        self.bad: list[tuple[int, int]] = []

    def records(self, header: list[str]) -> Records:
        while self.start < len(self.data) and self._take_until_a_bad_quote():
            pass
        tokens = np.concatenate(self.good) if self.good else np.empty((0, self.width + 1), dtype=np.int64)
        return Records(self._good_table(tokens, header), self._bad_table())

    def _take_until_a_bad_quote(self) -> bool:
        """Takes records from `start` on; False when the rest of the data has to wait for the next block."""
        begin = self.start
        ends = self.separators[np.searchsorted(self.separators, begin) :]
        inside = np.searchsorted(self.quotes, ends) - np.searchsorted(self.quotes, begin)
        ends = ends[inside % 2 == 0]
        starts = np.concatenate(([begin], ends[:-1] + 1)) if len(ends) else ends
        record_last = np.flatnonzero(self.bytes[ends] == NEWLINE)
        record_first = np.concatenate(([0], record_last[:-1] + 1)) if len(record_last) else record_last
        count = int(record_last[-1]) + 1 if len(record_last) else 0
        broken = self._broken(starts[:count], ends[:count])
        broken_record = np.unique(np.searchsorted(record_last, np.flatnonzero(broken)))
        spans = np.searchsorted(self.newlines, ends[record_last]) - np.searchsorted(self.newlines, starts[record_first])
        many_lines = broken_record[spans[broken_record] > 0]
        stop = int(many_lines[0]) if len(many_lines) else len(record_last)
        self._keep(starts, ends, record_first[:stop], record_last[:stop], broken_record[broken_record < stop])
        if len(many_lines):
            return self._drop_line(int(starts[record_first[stop]]))
        self.start = int(ends[record_last[-1]]) + 1 if count else begin
        rest = len(self.data) - self.start
        if rest and (self.is_last or rest > MAX_RECORD_BYTES):
            return self._drop_line(self.start)
        return False

    def _drop_line(self, start: int) -> bool:
        # A quote that opens in the wrong place would join lines that have nothing to do with each other.
        after = int(np.searchsorted(self.newlines, start))
        if after == len(self.newlines):
            self.start = start
            return False
        self.start = int(self.newlines[after]) + 1
        self.bad.append((start, self.start))
        return True

    def _broken(self, starts: Positions, ends: Positions) -> Flags:
        """Fields with a quote that neither opens nor closes them (CR before the line end aside)."""
        quoted = np.searchsorted(self.quotes, ends) > np.searchsorted(self.quotes, starts)
        last = ends - 1
        last = np.where((self.bytes[np.maximum(last, 0)] == 13) & (self.bytes[ends] == NEWLINE), last - 1, last)
        last = np.maximum(last, 0)
        closed = (self.bytes[np.minimum(starts, len(self.bytes) - 1)] == QUOTE) & (self.bytes[last] == QUOTE)
        broken: Flags = quoted & ~(closed & (last > starts))
        return broken

    def _keep(self, starts: Positions, ends: Positions, first: Positions, last: Positions, broken: Positions) -> None:
        fits = last - first + 1 == self.width
        fits[broken] = False
        if len(first):
            tokens = starts[first[fits][:, None] + np.arange(self.width)]
            self.good.append(np.concatenate([tokens, ends[last[fits]][:, None] + 1], axis=1))
        misfits = np.flatnonzero(~fits)
        self.bad += list(zip(starts[first[misfits]].tolist(), (ends[last[misfits]] + 1).tolist(), strict=True))

    def _good_table(self, tokens: Positions, header: list[str]) -> pa.Table:
        numbers = self._line_numbers(tokens[:, 0])
        columns = {"line_number": numbers}
        raw, is_utf8 = self._slices(tokens[:, 0], tokens[:, -1])
        columns |= {"raw": raw, "is_utf8": is_utf8}
        for position in range(len(header)):
            columns[f"c{position}"] = self._slices(tokens[:, position], tokens[:, position + 1])[0]
        return pa.table(columns)

    def _bad_table(self) -> pa.Table:
        spans = np.array(sorted(self.bad), dtype=np.int64).reshape(-1, 2)
        raw, _ = self._slices(spans[:, 0], spans[:, 1])
        return pa.table({"line_number": self._line_numbers(spans[:, 0]), "raw": raw})

    def _line_numbers(self, starts: Positions) -> Positions:
        return np.searchsorted(self.newlines, starts).astype(np.int64) + self.line

    def _slices(self, starts: Positions, ends: Positions) -> tuple[pa.LargeStringArray, pa.BooleanArray]:
        """Texts of ascending spans: what lies between them is cut as well, and left out."""
        if not len(starts):
            return pa.array([], pa.large_string()), pa.array([], pa.bool_())
        edges = np.stack([starts, ends], axis=1).ravel()
        texts, is_utf8 = cut(self.data[: int(edges[-1])], np.concatenate(([0], edges)) if edges[0] else edges)
        wanted = pa.array(np.arange(1 if edges[0] else 0, len(texts), 2))
        return texts.take(wanted), is_utf8.take(wanted)
