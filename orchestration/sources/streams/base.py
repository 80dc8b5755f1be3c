"""What every kind of stream has in common: partitions, positions in them, and what is read from one to the next.

The positions are written in the transaction that writes the events, so a batch is in exactly once, whatever dies when.
What a broker keeps of them is for people who watch the lag.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from orchestration.errors import ConfigError, TriplineError
from orchestration.sources.collected import SOURCE_NAME

MESSAGES = pa.schema(
    [
        ("line_number", pa.int64()),  # the offset, or where positions are no such numbers, the place in this batch
        ("line", pa.large_string()),
        ("wire", pa.large_string()),  # where it was made of another format
        ("reason", pa.large_string()),  # known to be unusable from the format alone
        ("received_at", pa.large_string()),  # RFC 3339: when the stream got it
        ("position", pa.large_string()),
        ("message_key", pa.large_string()),
        ("headers", pa.large_string()),  # JSON
    ]
)


class StreamDeclaration(BaseModel):
    """What a declaration of any kind of stream may say.

    `idle_seconds`: a partition that was read to its end and has had nothing new for so long no longer holds the
    watermark back. `on_gap`: what to do where messages were deleted before they were read. `max_…` bound one batch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=SOURCE_NAME)
    kind: str
    is_paused: bool = False
    stalled_after_seconds: float | None = Field(default=None, gt=0)
    start: Literal["earliest", "latest"] = "earliest"
    on_gap: Literal["stop", "skip"] = "stop"
    idle_seconds: float = Field(default=60.0, ge=0)
    max_rows: int = Field(default=200_000, ge=1)
    max_bytes: int = Field(default=128 * 1024**2, ge=1)
    max_seconds: float = Field(default=10.0, gt=0)
    path: Path = Path()
    format: ClassVar[str] = "stream"

    def claims(self, file_name: str) -> bool:
        """Never: a stream has no files."""
        return False


class SourceUnavailable(TriplineError):
    """A stream cannot be read just now; the other sources are loaded all the same."""

    retry = True
    exit_code = 75


class SourceStopped(TriplineError):
    """A stream that a person has to decide about: messages that were never read are gone."""

    exit_code = 2


@dataclass(frozen=True)
class Position:
    """Up to where a partition was read. `position` is the next one. Times are UTC without zone."""

    partition: str
    position: str
    stream_id: str | None = None  # of the topic: another one under the same name starts anew
    seen_through: datetime | None = None  # the time of the last message, the stream's own
    active_at: datetime | None = None  # when the last message was read


@dataclass(frozen=True)
class Gap:
    """Messages [from_position, to_position) of a partition are gone."""

    partition: str
    from_position: str
    to_position: str
    reason: str


@dataclass
class Portion:
    """What was read of one partition. `waiting`: messages that are left for a later batch. `error`: why it could not be
    read, while others could."""

    partition: str
    next_position: str
    messages: pa.Table = field(default_factory=lambda: MESSAGES.empty_table())
    stream_id: str | None = None
    waiting: int = 0
    seen_through: datetime | None = None
    gap: Gap | None = None
    error: str = ""


class StreamReader(Protocol):
    def read(self, known: Mapping[str, Position]) -> list[Portion]:
        """One batch's worth, all partitions that there are among the portions.

        Raises SourceUnavailable, SourceStopped, ConfigError.
        """

    def waiting(self, known: Mapping[str, Position]) -> Mapping[str, int]:
        """Messages that a batch would read, by partition. Raises what `read` does, but for gaps."""

    def committed(self, portions: Sequence[Portion]) -> None:
        """Called after the transaction was committed. Never raises."""

    def close(self) -> None: ...


def from_environment(values: Mapping[str, str], path: Path) -> dict[str, str]:
    """Values with each `${NAME}` replaced by the environment variable. Raises ConfigError where one is not set."""

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(f"{path}: the environment variable {match[1]} is not set", "set it; it is not kept")
        return os.environ[match[1]]

    return {name: re.sub(r"\$\{(\w+)\}", value_of, str(value)) for name, value in values.items()}
