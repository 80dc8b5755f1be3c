"""JSON Lines: every line exactly as it stands in the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.sources.blocks import BLOCK_BYTES, cut, positions_of, read_blocks

NEWLINE = 10


def read_lines(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[pa.Table]:
    """Tables of (line_number, line without its line end, is_utf8), a block of the file each.

    Line numbers start at 1 and count every line; blank ones hold no event and are left out. Raises InputError where
    the file is broken, possibly after some tables.
    """
    first, parts = 1, list[bytes]()
    for block in read_blocks(path, block_bytes):
        end = block.rfind(b"\n") + 1
        if not end:
            parts.append(block)
            continue
        table = lines_of(b"".join([*parts, block[:end]]), first)
        parts = [block[end:]]
        yield table
        first += block.count(b"\n")
    rest = b"".join(parts)
    if rest:
        yield lines_of(rest, first)


def lines_of(data: bytes, first: int = 1) -> pa.Table:
    """The table of read_lines for bytes that are not in a file."""
    ends = positions_of(data, NEWLINE) + 1
    offsets = np.concatenate(([0], ends, [len(data)] if not len(ends) or ends[-1] != len(data) else []))
    lines, is_utf8 = cut(data, offsets.astype(np.int64))
    numbers = np.arange(first, first + len(lines), dtype=np.int64)
    table = pa.table({"line_number": numbers, "line": pc.ascii_rtrim(lines, "\r\n"), "is_utf8": is_utf8})
    return table.filter(pc.greater(pc.binary_length(pc.ascii_trim(lines, " \t\r\n")), 0))
