"""What a load did, for people and programs."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from orchestration.errors import TriplineError


class SourceReport(BaseModel):
    """One row of raw.load_batches: events_read = events_loaded + events_duplicate + events_quarantined."""

    model_config = ConfigDict(frozen=True)

    source_name: str
    files: int
    events_read: int
    events_loaded: int
    events_duplicate: int
    events_quarantined: int
    events_superseded: int
    complete_through: datetime | None


class FileNote(BaseModel):
    model_config = ConfigDict(frozen=True)

    file_name: str
    reason: str


class StreamNote(BaseModel):
    """A stream, or one of its partitions, that could not be read. `retry`: the next batch may."""

    model_config = ConfigDict(frozen=True)

    source_name: str
    reason: str
    what_to_do: str
    retry: bool

    @classmethod
    def of(cls, name: str, error: TriplineError) -> StreamNote:
        return cls(source_name=name, reason=error.message, what_to_do=error.hint, retry=error.retry)


class PartitionReport(BaseModel):
    """One partition of a stream. `waiting`: messages left for a later batch; `is_idle`: silent for so long that it does
    not hold the watermark back."""

    model_config = ConfigDict(frozen=True)

    source_name: str
    partition: str
    messages: int
    position: str
    waiting: int
    seen_through: datetime | None
    is_idle: bool


class BatchReport(BaseModel):
    """What a batch did. `batch_id` and `clock_at` are None where no file was loaded, and then nothing was written
    but notes about files. Times are UTC without zone."""

    model_config = ConfigDict(frozen=True)

    batch_id: int | None = None
    clock_at: datetime | None = None
    is_replay: bool = False
    sources: list[SourceReport] = []
    quarantined: dict[str, int] = {}  # by reason
    files_taken: list[str] = []
    files_set_aside: list[FileNote] = []  # could not be read, moved to .set_aside/
    files_known: list[FileNote] = []  # content that is loaded already, not loaded again
    files_left: list[FileNote] = []  # still where they were, for a later batch
    files_not_moved: list[FileNote] = []  # done with, but still in the landing folder
    partitions: list[PartitionReport] = []
    streams_failed: list[StreamNote] = []  # not read, or not all of it; the other sources are loaded

    @property
    def events_read(self) -> int:
        return sum(source.events_read for source in self.sources)

    @property
    def events_loaded(self) -> int:
        return sum(source.events_loaded for source in self.sources)

    @property
    def events_duplicate(self) -> int:
        return sum(source.events_duplicate for source in self.sources)

    @property
    def events_quarantined(self) -> int:
        return sum(source.events_quarantined for source in self.sources)

    @property
    def events_superseded(self) -> int:
        return sum(source.events_superseded for source in self.sources)
