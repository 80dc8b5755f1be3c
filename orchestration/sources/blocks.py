"""Files as blocks of bytes that end where a record does, and Arrow text cut out of them without a loop."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orchestration.errors import InputError

BLOCK_BYTES = 64 * 1024 * 1024  # bounds memory; a longer line still is read whole
BOM = b"\xef\xbb\xbf"
Positions = np.ndarray[Any, np.dtype[np.int64]]


def read_blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The file's bytes, unzipped where its name ends in .gz, without a byte order mark.

    Raises InputError where the compressed stream is broken.
    """
    try:
        with open_stream(path) as stream:
            block = stream.read(block_bytes).removeprefix(BOM)
            while block:
                yield block
                block = stream.read(block_bytes)
    except EOFError as error:
        raise InputError("the gzip stream is truncated: it ends before its end marker") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip stream is broken: {error}") from error


def open_stream(path: Path) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def positions_of(data: bytes, byte: int) -> Positions:
    return np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == byte).astype(np.int64, copy=False)


def cut(data: bytes, offsets: Positions) -> tuple[pa.LargeStringArray, pa.BooleanArray]:
    """(texts between neighbouring offsets, whether each was UTF-8). What is not UTF-8 has replacement characters."""
    pieces = _binary(data, offsets)
    try:
        texts = pieces.cast(pa.large_string())
        return texts, pa.array(np.ones(len(texts), dtype=bool))
    except pa.ArrowInvalid:
        return _cut_broken(pieces, data, offsets)


def _cut_broken(
    pieces: pa.LargeBinaryArray, data: bytes, offsets: Positions
) -> tuple[pa.LargeStringArray, pa.BooleanArray]:
    # A marker byte no UTF-8 text holds would itself be replaced, so pieces are found again by the positions of
    # their ends: every piece ends with an ASCII byte, which replacing leaves alone, counted among its equals.
    ends = np.frombuffer(data, dtype=np.uint8)[offsets[1:] - 1]
    repaired = data.decode("utf-8", "replace").encode("utf-8")
    mended = np.empty(len(offsets), dtype=np.int64)
    mended[0], mended[-1] = 0, len(repaired)
    for byte in np.unique(ends[:-1]):
        before, after = positions_of(data, int(byte)), positions_of(repaired, int(byte))
        mine = np.flatnonzero(ends[:-1] == byte)
        mended[mine + 1] = after[np.searchsorted(before, offsets[mine + 1] - 1)] + 1
    texts = _binary(repaired, mended)
    return texts.cast(pa.large_string()), pc.equal(texts, pieces)


def _binary(data: bytes, offsets: Positions) -> pa.LargeBinaryArray:
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data)]
    return cast(pa.LargeBinaryArray, pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers))
