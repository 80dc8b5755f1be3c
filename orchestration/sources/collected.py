"""Sources whose events come through the collector: slices of JSON Lines in a folder of their own under landing."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

COLLECTED = "collected"
CROSSING_MARK = ".crossing"  # in the landing folder; its time says up to when slices are wanted at once
SOURCE_NAME = r"^[a-z][a-z0-9_]*$"


class CollectedSource(BaseModel):
    """One declared source of kind `collector`.

    `origins` are the web pages that may send from a browser (`https://shop.example`, `http://localhost:*`, or `*` for
    all). `events_per_second` is what each write key may send for long; ten seconds of it at once. `tracking_plan` is a
    file of JSON Schemas by event name, relative to the declaration. Without events for `stalled_after_seconds` (else
    the setting of that name) the source's check fails.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=SOURCE_NAME)
    kind: Literal["collector"]
    format: ClassVar[str] = "jsonl"
    is_paused: bool = False
    stalled_after_seconds: float | None = Field(default=None, gt=0)
    origins: list[str] = []
    events_per_second: float = Field(default=1_000.0, gt=0)
    tracking_plan: Path | None = None
    on_violation: Literal["quarantine", "flag"] = "quarantine"
    path: Path = Path()

    @field_validator("origins")
    @classmethod
    def _origins_are_no_urls(cls, value: list[str]) -> list[str]:
        for origin in value:
            scheme, _, host = origin.partition("://")
            if origin != "*" and (scheme not in ("http", "https") or not host or "/" in host):
                raise ValueError(f"{origin!r} is no origin; one is spelled https://shop.example, or '*' for all")
        return value

    def claims(self, file_name: str) -> bool:
        return source_of_slice(file_name) == self.name


def source_of_slice(file_name: str) -> str | None:
    """The source whose slice a file is, by its name relative to the landing folder; None for other files."""
    parts = file_name.split("/")
    return parts[1] if len(parts) > 2 and parts[0] == COLLECTED and re.fullmatch(SOURCE_NAME, parts[1]) else None


def mark_crossing(landing: Path) -> None:
    """Asks for a batch of the slices that are there now, without waiting for more."""
    (landing / CROSSING_MARK).touch()


def seconds_until_wanted(landing: Path, slices: Sequence[Path], wait_seconds: float) -> float:
    """How long a batch of these slices has time: nothing where one lies there since before somebody crossed a
    threshold, else until the oldest has waited for `wait_seconds`."""
    since = []
    for path in slices:
        with suppress(FileNotFoundError):  # a batch just took it
            since.append(path.stat().st_ctime_ns)
    if not since:
        return 0.0
    mark = landing / CROSSING_MARK
    if mark.exists() and min(since) <= mark.stat().st_mtime_ns:
        return 0.0
    return max(min(since) / 1e9 + wait_seconds - time.time(), 0.0)
