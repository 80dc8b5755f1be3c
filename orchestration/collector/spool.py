"""Lines on disk before anybody is told so: append, one fsync for all who wait, then renamed into the landing folder.

A slice is the file that one source's lines go to for about a second. It lies in a folder that the loader does not look
into until it is whole; where the process died before, the next one finishes it. A line of which nobody was told may be
in it too, but never a part of one.

Files are only ever added to by one thread, and after a write or an fsync that failed nothing more is added to the
slice: what the kernel kept of it is not known, so it ends where the last fsync that worked had brought it.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from orchestration.atomic_files import sync
from orchestration.errors import ConfigError, SpoolFull
from orchestration.sources.collected import COLLECTED

logger = logging.getLogger(__name__)

OPEN_DIR = ".collecting"
SLICE_SECONDS = 1.0  # a smaller file costs the loader more than its lines do
SLICE_BYTES = 32 * 1024 * 1024
QUEUED_BYTES = 64 * 1024 * 1024  # in memory, waiting for the disk; more is refused
RETRY_SECONDS = 1.0  # after the disk refused


@dataclass
class _Slice:
    source: str
    path: Path
    descriptor: int
    opened_at: float
    synced_bytes: int = 0
    written_bytes: int = 0


@dataclass
class _Waiting:
    """Lines of one request, to be written together."""

    source: str
    lines: bytes
    written: Future[None] = field(default_factory=Future)


class Spool:
    """Use as a context manager: takes the folder for itself, finishes what a dead process left.

    Raises ConfigError where another collector has the folder, or it cannot be written to.
    """

    def __init__(
        self,
        landing: Path,
        *,
        slice_seconds: float = SLICE_SECONDS,
        slice_bytes: int = SLICE_BYTES,
        queued_bytes: int = QUEUED_BYTES,
        fsync: Callable[[int], None] = os.fdatasync,
    ) -> None:
        self._landing, self._folder = landing, landing / OPEN_DIR
        self._slice_seconds, self._slice_bytes, self._most_queued = slice_seconds, slice_bytes, queued_bytes
        self._fsync = fsync
        self._changed = threading.Condition()
        self._queue: list[_Waiting] = []
        self._queued_bytes = 0
        self._is_ending = False
        self._slices: dict[str, _Slice] = {}
        self._unplaced: list[Path] = []
        self._hurried: list[Future[None]] = []
        self._place_again_at = 0.0
        self._number = 0
        self._failed_at: float | None = None
        self._failure = ""
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def __enter__(self) -> Spool:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self._folder / ".lock", blocking=False)
            self._lock.acquire()
            self.recovered = self._recover()
        except Timeout:
            raise ConfigError(
                f"another collector writes to {self._landing}",
                "end it, or give this one another landing folder (TRIPLINE_LANDING)",
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{error.filename or self._folder} cannot be written to: {error.strerror}",
                "give the user who runs Tripline the right to write there, and the disk some room",
            ) from error
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join()
        self._lock.release()

    def append(self, source: str, lines: bytes) -> Future[None]:
        """Done once the lines, whole ones with their line ends, would survive a power cut.

        Raises SpoolFull, at once or from the future, where they will not: nobody may be told that they were taken.
        """
        waiting = _Waiting(source, lines)
        with self._changed:
            if self._queued_bytes + len(lines) > self._most_queued:
                raise SpoolFull("more waits for the disk than memory was set aside for")
            if self.failure:
                raise SpoolFull(self.failure)
            if self._is_ending:
                raise SpoolFull("the collector is stopping")
            self._queue.append(waiting)
            self._queued_bytes += len(lines)
            self._changed.notify()
        return waiting.written

    def hurry(self) -> Future[None]:
        """Done once all that was acknowledged until now lies where the loader finds it, or could not be put there: the
        slices need not be a second old."""
        placed: Future[None] = Future()
        with self._changed:
            if self._is_ending:
                placed.set_result(None)
            else:
                self._hurried.append(placed)
                self._changed.notify()
        return placed

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    @property
    def failure(self) -> str:
        """Why nothing can be written just now; empty where it can, or may be tried again."""
        failed_at = self._failed_at
        return self._failure if failed_at is not None and time.monotonic() < failed_at + RETRY_SECONDS else ""

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._queue or self._hurried or self._is_ending or self._seconds_left() == 0.0):
                    self._changed.wait(self._seconds_left())
                group, self._queue = self._queue, []
                hurried, self._hurried = self._hurried, []
                is_ending = self._is_ending
            if group:
                self._write(group)
                with self._changed:
                    self._queued_bytes -= sum(len(one.lines) for one in group)
            for slice_ in list(self._slices.values()):
                if is_ending or hurried or self._is_due(slice_):
                    self._finish(slice_)
            self._place(is_last=is_ending)
            for placed in hurried:
                placed.set_result(None)
            if is_ending and not self._queue:
                return

    def _seconds_left(self) -> float | None:
        """Until there is something to do that nobody asks for; None where nothing will be."""
        due = [one.opened_at + self._slice_seconds for one in self._slices.values()]
        due += [self._place_again_at] if self._unplaced else []
        return max(min(due) - time.monotonic(), 0.0) if due else None

    def _is_due(self, slice_: _Slice) -> bool:
        is_old = time.monotonic() >= slice_.opened_at + self._slice_seconds
        return is_old or slice_.written_bytes >= self._slice_bytes

    def _write(self, group: list[_Waiting]) -> None:
        """Group commit: whoever came while the disk was busy shares the next fsync."""
        by_source: dict[str, list[_Waiting]] = {}
        asking = {id(one) for one in group if one.written.set_running_or_notify_cancel()}
        for one in group:
            by_source.setdefault(one.source, []).append(one)
        for source, waiting in by_source.items():
            try:
                self._write_one(source, b"".join(one.lines for one in waiting))
            except OSError as error:
                self._failed_at = time.monotonic()
                self._failure = f"the disk refused: {error.strerror}"
                logger.error("%s: %s", source, self._failure)
                self._give_up(source)
                for one in waiting:
                    if id(one) in asking:
                        one.written.set_exception(SpoolFull(self._failure))
            else:
                self._failed_at = None
                for one in waiting:
                    if id(one) in asking:  # others hung up; what they sent is kept all the same
                        one.written.set_result(None)

    def _write_one(self, source: str, data: bytes) -> None:
        slice_ = self._slices.get(source) or self._open(source)
        view = memoryview(data)
        while view:
            count = os.write(slice_.descriptor, view)
            slice_.written_bytes += count
            view = view[count:]
        self._fsync(slice_.descriptor)
        slice_.synced_bytes = slice_.written_bytes

    def _open(self, source: str) -> _Slice:
        self._number += 1
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = self._folder / f"{source}@{stamp}-{self._number}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o640)
        slice_ = self._slices[source] = _Slice(source, path, descriptor, time.monotonic())
        sync(self._folder)
        return slice_

    def _give_up(self, source: str) -> None:
        """Ends the source's slice where the last fsync that worked had brought it."""
        slice_ = self._slices.get(source)
        if slice_ is None:
            return
        with suppress(OSError):
            os.ftruncate(slice_.descriptor, slice_.synced_bytes)
        self._finish(slice_)

    def _finish(self, slice_: _Slice) -> None:
        del self._slices[slice_.source]
        self._unplaced.append(slice_.path)
        self._place_again_at = 0.0
        with suppress(OSError):  # of a write that was told already
            os.close(slice_.descriptor)

    def _place(self, *, is_last: bool) -> None:
        """Renames whole slices into the landing folder; one that cannot be is tried again, at the latest by the next
        process."""
        if not is_last and time.monotonic() < self._place_again_at:
            return
        for path in list(self._unplaced):
            try:
                self._put_into_place(path)
            except OSError as error:
                if not path.exists():  # it is in place, and only its folder could not be synced
                    self._unplaced.remove(path)
                self._place_again_at = time.monotonic() + RETRY_SECONDS
                logger.error("%s cannot be put into the landing folder yet: %s", path.name, error.strerror)
            else:
                self._unplaced.remove(path)

    def _put_into_place(self, path: Path) -> None:
        if path.stat().st_size == 0:
            path.unlink()
            return
        source, _, name = path.name.partition("@")
        folder = self._landing / COLLECTED / source
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / name)
        sync(folder)
        sync(self._folder)

    def _recover(self) -> int:
        """Puts the slices of a dead process into place; returns how many there were."""
        left = sorted(self._folder.glob("*.jsonl"))
        for path in left:
            with path.open("r+b") as file:
                file.truncate(_end_of_last_line(path))
                os.fsync(file.fileno())
            self._put_into_place(path)
        return len(left)


def _end_of_last_line(path: Path, block_bytes: int = 1024 * 1024) -> int:
    """What follows it is a part of a line, of which nobody was told."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(end - block_bytes, 0)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0
