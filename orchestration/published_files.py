"""The files of the published database: the one that people open, and the one that had its name before.

What is published next is written into that earlier one, as long as nobody has it open any more: two batches' changes
cost less than a copy of everything. Where somebody may have it open, a copy is made.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb
import psutil
from pydantic import BaseModel, ConfigDict

from orchestration.atomic_files import remove_database, sync, wal_of
from orchestration.named_sql import fetch_sql, literal

READ_ONLY_MODE = 0o444
# Whose readers are all processes of this machine's kernel, which therefore knows of each.
LOCAL_FILESYSTEMS = {"btrfs", "ext2", "ext3", "ext4", "tmpfs", "xfs"}


class PublishedBuild(BaseModel):
    """What a published file says of itself. Times are UTC without zone; `published_at` is wall time, `clock_at` the
    clock of the batch. The changes that it keeps are those from `prior_build_id` to `build_id`."""

    model_config = ConfigDict(frozen=True)

    build_id: str
    prior_build_id: str | None
    upto_batch_id: int
    clock_at: datetime
    published_at: datetime
    delivery_seq: int
    layout: str
    views: str


class NotSettled(Exception):
    """DuckDB left a log beside a file that it closed."""


def spare_of(path: Path) -> Path:
    """Where the file is kept that had the name of `path` before."""
    return path.with_name(f".{path.name}.spare")


def settle(path: Path) -> None:
    """Ends what a killed publish began: it may have stopped before `path` was another file, or after."""
    kept = _kept_of(path)
    if kept.exists():
        if path.exists() and kept.samefile(path):
            kept.unlink()
        else:
            kept.replace(spare_of(path))


def _kept_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.kept")


def is_free(path: Path) -> bool:
    """Whether no process has the file open, whichever way it was opened; False where that cannot be known.

    The kernel gives a write lease (fcntl(2), F_SETLEASE) only to the one process that has a file open. DuckDB's own
    lock does not say it: a process that has a file open twice loses its lock when it closes either.
    """
    if not hasattr(fcntl, "F_SETLEASE") or not _is_local(path):
        return False
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        # Whoever opens it in this moment waits, and SIGIO, which would end this process, is not what it is told by.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_local(path: Path) -> bool:
    absolute = path.resolve()
    above = [part for part in psutil.disk_partitions(all=True) if absolute.is_relative_to(part.mountpoint)]
    return bool(above) and max(above, key=lambda part: len(part.mountpoint)).fstype in LOCAL_FILESYSTEMS


def take_spare(path: Path) -> Path | None:
    """The spare of `path`, made writable, where nobody has it open; None where there is none to write into."""
    spare = spare_of(path)
    if not spare.exists():
        return None
    spare.chmod(0o644)
    return spare if is_free(spare) else None


@contextmanager
def next_file(connection: duckdb.DuckDBPyConnection, path: Path, *, begun_with: Path | None) -> Iterator[None]:
    """A database `published_file` to write into; at the end it takes the name of `path`, whose file becomes the spare.

    `begun_with`: what it is at first: `path` itself, of which a copy is made, or its spare, which take_spare gave and
    which is used up; None for an empty one, after which there is no spare. Raises NotSettled.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for all, so that the next publish removes what a killed one left.
    written = path.with_name(f".{path.name}.next")
    remove_database(written)
    try:
        if begun_with == path:
            shutil.copyfile(path, written)
        elif begun_with:
            begun_with.replace(written)
        connection.execute(f"attach {literal(written)} as published_file")
        try:
            yield
            connection.execute("checkpoint published_file")
        except BaseException:
            with suppress(duckdb.Error):  # the first error tells more
                connection.rollback()
                connection.execute("detach published_file")
            raise
        connection.execute("detach published_file")
        if wal_of(written).exists():
            raise NotSettled("the write-ahead log did not go into the file")
        written.chmod(READ_ONLY_MODE)
        # A log that somebody's writing left belongs to the old file; DuckDB refuses the new one beside it.
        wal_of(path).unlink(missing_ok=True)
        _take_name(written, path, keep_as_spare=begun_with is not None)
    finally:
        remove_database(written)


def _take_name(written: Path, path: Path, *, keep_as_spare: bool) -> None:
    """In one step that survives a power cut: at every moment there is a whole file at `path`. After settle."""
    kept = _kept_of(path)
    if keep_as_spare:
        with suppress(OSError):  # no second names on this filesystem: then the next one is a copy
            kept.hardlink_to(path)
    sync(written)
    written.replace(path)
    if kept.exists():
        kept.replace(spare_of(path))
    sync(path.parent)


def read_published(path: Path) -> PublishedBuild | None:
    """What the file at `path` holds; None where there is none. Raises duckdb.Error where it is broken."""
    if not path.exists():
        return None
    with duckdb.connect() as connection:
        return read_last(connection, path)[0]


def read_last(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[PublishedBuild, dict[str, int]]:
    """What the file says of itself. It is closed again before anything copies it."""
    connection.execute(f"attach {literal(path)} as published_file (read_only)")
    try:
        (row,) = fetch_sql(connection, "publish_last")
        counts = dict(fetch_sql(connection, "publish_last_counts"))
    finally:
        connection.execute("detach published_file")
    return PublishedBuild(**dict(zip(PublishedBuild.model_fields, row, strict=True))), counts
