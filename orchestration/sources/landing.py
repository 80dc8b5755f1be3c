"""The landing folder: which files may be taken, and where they go afterwards."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from orchestration.errors import ConfigError
from orchestration.sources.declarations import SEGMENT

TAKEN = ".taken"
SET_ASIDE = ".set_aside"
UNFINISHED = (".tmp", ".part")


@dataclass(frozen=True)
class Version:
    """What tells one version of a file from another without reading it."""

    inode: int
    bytes: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path) -> Version:
        stat = path.stat()
        return cls(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def name_in(landing: Path, path: Path) -> str:
    """Relative to the landing folder, with slashes; the bare name of a file from elsewhere."""
    return path.relative_to(landing).as_posix() if path.is_relative_to(landing) else path.name


def list_files(landing: Path) -> list[Path]:
    """Every finished-looking file, subfolders too, by name; dot files, dot folders, *.tmp and *.part never.

    None where the folder is not there yet. Raises ConfigError for a folder that cannot be read: what waits in it
    must not look like nothing.
    """
    found = []
    for folder, folders, names in os.walk(landing, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and not name.lower().endswith(UNFINISHED):
                found.append(Path(folder) / name)
    try:
        return sorted((path for path in found if path.is_file()), key=lambda path: name_in(landing, path))
    except PermissionError as error:  # a folder that may be listed, but not entered
        _refuse(error)
        raise


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # a folder may be moved away while it is walked
        raise ConfigError(
            f"{error.filename} cannot be read: {error.strerror}",
            "give the user who runs Tripline the right to read and write there, or name another landing folder "
            "in TRIPLINE_LANDING",
        ) from error


def is_settled(path: Path, settle_seconds: float) -> bool:
    """Whether nobody can still be writing the file."""
    return seconds_to_settle(path, settle_seconds) == 0


def seconds_to_settle(path: Path, settle_seconds: float) -> float:
    """How long nobody may touch the file before it may be taken; infinite for one that is gone.

    Every write sets mtime and ctime to the same instant; a rename moves ctime alone. So a ctime after the
    mtime means that the last thing that happened to a file with content was not a write: it was put into
    place whole. All others wait until the ctime, which nobody can set, is `settle_seconds` old; so does one that was
    written and renamed within a single tick of the kernel's clock, some milliseconds.
    """
    try:
        version = Version.of(path)
    except FileNotFoundError:
        return math.inf
    if version.ctime_ns > version.mtime_ns and version.bytes > 0:
        return 0.0
    return max(0.0, settle_seconds - (time.time() - version.ctime_ns / 1e9))


def settled_files(landing: Path, settle_seconds: float, *, wait: bool) -> tuple[list[Path], list[Path]]:
    """(files that may be taken, files still being written). With `wait`, gives fresh files the time to settle,
    once: a file that is written to for ever must not hold up the others."""
    files = list_files(landing)
    if wait:
        waits = [seconds_to_settle(path, settle_seconds) for path in files]
        if left := max((seconds for seconds in waits if seconds < math.inf), default=0.0):
            time.sleep(min(left, settle_seconds))
            files = list_files(landing)
    settled = [path for path in files if is_settled(path, settle_seconds)]
    return settled, [path for path in files if path not in set(settled)]


class Arrivals:
    """Which files came while somebody looked at the folder, look after look, and were left alone for two looks since.

    Most writers write a file in one go, so a run may be asked for while the file settles: that passes while the run
    starts, and its batch takes settled files only. What was there at the first look has to settle before, for
    somebody may be appending to it all day.
    """

    def __init__(self) -> None:
        self._before: dict[Path, Version] | None = None
        self._quiet_looks: dict[Path, int] = {}

    def untouched(self, fresh: list[Path]) -> list[Path]:
        """Those of `fresh` files, which have not settled yet. Called once a look."""
        before, now = self._before, _versions(fresh)
        self._before = now
        if before is None:
            return []
        for path, version in now.items():
            if path not in before:
                self._quiet_looks[path] = 0
            elif before[path] != version:
                self._quiet_looks.pop(path, None)
            elif path in self._quiet_looks:
                self._quiet_looks[path] += 1
        return [path for path in now if self._quiet_looks.get(path, 0) >= 2]


def _versions(files: list[Path]) -> dict[Path, Version]:
    found = {}
    for path in files:
        with suppress(FileNotFoundError):
            found[path] = Version.of(path)
    return found


def content_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def move_away(path: Path, landing: Path, folder: str, version: Version) -> str | None:
    """Moves a file that is done with to `folder` under the landing folder.

    Returns what went wrong, if anything: what is committed stays so, and the next batch moves the file, whose
    content it knows. A file that is no longer the version which was read is somebody's new one: it stays.
    """
    target = landing / folder / path.relative_to(landing)
    try:
        if Version.of(path) != version:
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, free_name(target))
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"could not be moved to {folder}: {error.strerror}"
    return None


def free_name(path: Path) -> Path:
    number, candidate = 1, path
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate


def set_aside(path: Path, landing: Path, version: Version, reason: str) -> str | None:
    """Moves a file that cannot be read to .set_aside/, with its reason beside it; returns what went wrong."""
    target = landing / SET_ASIDE / path.relative_to(landing)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.with_name(target.name + ".reason.txt").write_text(
            f"{reason}\nMend the file and put it back into the landing folder.\n", encoding="utf-8"
        )
    except OSError as error:
        return f"could not be set aside: {error.strerror}"
    return move_away(path, landing, SET_ASIDE, version)


__all__ = ["SEGMENT", "SET_ASIDE", "TAKEN", "Arrivals", "Version", "content_hash", "list_files", "settled_files"]
