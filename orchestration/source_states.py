"""How each declared source is doing: since when it is silent, what waits of it, and whether it holds absences back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from orchestration.commands.tables import open_published
from orchestration.settings import Settings
from orchestration.sources.declarations import SEGMENT, Source
from orchestration.sources.landing import list_files, name_in
from orchestration.sources.staging import declaration_for


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
    values = {
        "names": [SEGMENT, *(source.name for source in declared)],
        "paused": [False, *(source.is_paused for source in declared)],
        "stalled_after": [usual, *(source.stalled_after_seconds or usual for source in declared)],
        "now": now,
    }
    with open_published(settings, {"threads": 1}) as tables:
        return [SourceState(**row) for row in tables.rows("source_states", **values)]


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
