"""Files that are there whole or not at all, whenever the process or the machine stops."""

from __future__ import annotations

import os
from pathlib import Path


def wal_of(database: Path) -> Path:
    """Where DuckDB keeps what it has not yet written into the file itself."""
    return database.with_name(f"{database.name}.wal")


def remove_database(database: Path) -> None:
    """The file and its log, as far as they are there."""
    for leftover in (database, wal_of(database)):
        leftover.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Puts a file's bytes, or a folder's names, on the disk before anything relies on them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(new: Path, path: Path) -> None:
    """Gives `new`, a file of the same folder, the name of `path` in one step that survives a power cut."""
    sync(new)
    new.replace(path)
    sync(path.parent)


def size_of(path: Path) -> int:
    """Bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0
