"""Messages of one partition on their way into an Arrow table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from orchestration.collector.segment import Payload
from orchestration.sources.streams.base import MESSAGES


class Messages:
    def __init__(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self.last_received_at: datetime | None = None
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        line_number: int,
        position: str,
        value: bytes | None,
        received_at: datetime,
        *,
        key: bytes | str | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        payload: Payload | None = None,
    ) -> None:
        """`payload`: what the value was found to be, where that is not Segment's layout. `received_at` has a zone."""
        self.bytes += len(value or b"")
        moment = received_at.astimezone(UTC)
        stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line, is_utf8 = _text(value or b"")
        wire, reason = None, None if is_utf8 else "not_json"
        if payload is not None and is_utf8:
            (item,) = payload.build(stamp, None)
            wire, reason = (None, item.reason) if item.reason else (item.line.decode().rstrip("\n"), None)
        told = (
            msgspec.json.encode({name: _text(given or b"")[0] for name, given in headers}).decode() if headers else None
        )
        spelled = _text(key)[0] if isinstance(key, bytes) else key
        self._rows.append((line_number, line, wire, reason, stamp, position, spelled, told))
        naive = moment.replace(tzinfo=None)
        self.last_received_at = max(self.last_received_at or naive, naive)

    def table(self) -> pa.Table:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(MESSAGES)
        return pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, MESSAGES, strict=True)], schema=MESSAGES
        )


def _text(value: bytes) -> tuple[str, bool]:
    try:
        return value.decode(), True
    except UnicodeDecodeError:
        return value.decode("utf-8", "replace"), False
