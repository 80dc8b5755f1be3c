"""JSON Lines: every line exactly as it stands in the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from orchestration.sources.blocks import BLOCK_BYTES, cut, positions_of, read_blocks

NEWLINE = 10


def read_lines(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[pa.Table]:
    """Tables of (line_number, line with its line end, is_utf8), a block of the file each.

    Line numbers start at 1 and count every line; blank ones are for the SQL to skip. Raises InputError where
    the file is broken, possibly after some tables.
    """
    first, parts = 1, list[bytes]()
    for block in read_blocks(path, block_bytes):
        end = block.rfind(b"\n") + 1
        if not end:
            parts.append(block)
            continue
        table = _table(b"".join([*parts, block[:end]]), first)
        parts = [block[end:]]
        first += len(table)
        yield table
    rest = b"".join(parts)
    if rest:
        yield _table(rest, first)


def _table(data: bytes, first: int) -> pa.Table:
    ends = positions_of(data, NEWLINE) + 1
    offsets = np.concatenate(([0], ends, [len(data)] if not len(ends) or ends[-1] != len(data) else []))
    lines, is_utf8 = cut(data, offsets.astype(np.int64))
    numbers = np.arange(first, first + len(lines), dtype=np.int64)
    return pa.table({"line_number": numbers, "line": lines, "is_utf8": is_utf8})
