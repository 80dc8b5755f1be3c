"""How each declared source is doing: since when it is silent, what waits of it, and whether it holds absences back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
from pydantic import BaseModel, ConfigDict

from orchestration.settings import Settings
from orchestration.sources.declarations import SEGMENT, Source
from orchestration.sources.landing import list_files, name_in
from orchestration.sources.staging import declaration_for
from orchestration.warehouse import read_sql


class SourceState(BaseModel):
    """`last_events_at`: wall time of the last batch that brought events, None where none ever did. Times are UTC and
    without zone. A source counts for the watermark once it was loaded, unless it is paused (semantics, section 5)."""

    model_config = ConfigDict(frozen=True)

    source_name: str
    is_paused: bool
    stalled_after_seconds: float
    silent_seconds: float | None
    last_events_at: datetime | None
    complete_through: datetime | None
    events_loaded: int
    holds_watermark: bool
    """Whether it is the source that absences wait for."""

    @property
    def is_stalled(self) -> bool:
        return not self.is_paused and (self.silent_seconds or 0.0) > self.stalled_after_seconds

    @property
    def words(self) -> str:
        if self.is_paused:
            return "paused: it is not waited for"
        if self.silent_seconds is None:
            return "nothing was loaded of it yet: it is not waited for"
        told = f"the last events came {self.silent_seconds:,.0f} s ago, {self.stalled_after_seconds:,.0f} are usual"
        return f"{told}; no absence after {self.complete_through} is decided meanwhile" if self.is_stalled else told


def source_states(settings: Settings, declared: Sequence[Source], now: datetime) -> list[SourceState]:
    """Of every declared source and the built-in one, from the published database, which keeps no batch out. `now` is
    UTC without zone."""
    usual = settings.stalled_after_seconds
    known = {SEGMENT: (False, usual)}
    known |= {source.name: (source.is_paused, source.stalled_after_seconds or usual) for source in declared}
    rows = {row["source_name"]: row for row in _read(settings.published_path)}
    through = [
        row["complete_through"]
        for name, row in rows.items()
        if row["complete_through"] and not known.get(name, (True, 0.0))[0]
    ]
    found = []
    for name, (is_paused, stalled_after) in known.items():
        row = rows.get(name, {"last_events_at": None, "complete_through": None, "events_loaded": 0})
        last = row["last_events_at"]
        found.append(
            SourceState(
                **{"source_name": name, **row},
                is_paused=is_paused,
                stalled_after_seconds=stalled_after,
                silent_seconds=None if last is None else max((now - last).total_seconds(), 0.0),
                holds_watermark=bool(through) and not is_paused and row["complete_through"] == min(through),
            )
        )
    return found


def _read(published: Path) -> list[dict[str, Any]]:
    if not published.exists():
        return []
    with duckdb.connect(str(published), read_only=True) as connection:
        cursor = connection.execute(read_sql("source_states"))
        names = [column[0] for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def waiting_of_sources(settings: Settings, declared: list[Source]) -> dict[str, tuple[int, float]]:
    """By source: files in the landing folder, and the age of the oldest in seconds."""
    found: dict[str, tuple[int, float]] = {}
    for path in list_files(settings.landing_path):
        with suppress(FileNotFoundError):  # taken meanwhile
            age = max(time.time() - path.stat().st_mtime, 0.0)
            claim = declaration_for(path, name_in(settings.landing_path, path), declared)
            name = claim.name if claim else SEGMENT
            files, oldest = found.get(name, (0, 0.0))
            found[name] = files + 1, max(oldest, age)
    return found
