"""Whether the files are those that a template was loaded from."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

Snapshot = dict[str, tuple[int, int]]  # path -> (time of change in ns, bytes); (0, 0) where it is gone

SUFFIXES = (".py", ".sql", ".yml", ".yaml", ".csv", ".md")
SKIPPED = ("target", "logs", "dbt_packages", "__pycache__")


def module_files() -> list[str]:
    """The source files of the modules that are imported and not installed."""
    installed = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
    files = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    return sorted(
        file
        for file in files
        if file.endswith(".py")
        and not file.startswith(installed)
        and "/site-packages/" not in file
        and "/dist-packages/" not in file
    )


def snapshot(modules: Iterable[str], folders: Iterable[str]) -> Snapshot:
    """What `modules` and all that stands in `folders` look like now; takes some milliseconds for a thousand files."""
    found: Snapshot = {}
    own = {os.path.dirname(file) for file in modules}  # noqa: PTH120  (called each second, over a thousand times)
    for file in modules:
        found[file] = _look(file)
    for folder in own:
        # A module that is added beside the others may be one that the definitions collect.
        found |= {path: found.get(path) or _look(path) for path in _entries(folder) if path.endswith(".py")}
    for folder in folders:
        found |= {path: _look(path) for path in _tree(folder)}
    # An installation changes this folder, and nobody installs into a running template. `.env` is read by Dagster.
    for path in (sysconfig.get_path("purelib"), str(Path.cwd() / ".env")):
        found[path] = _look(path)
    return found


def changed(before: Snapshot, now: Snapshot) -> list[str]:
    """The paths that are new, gone or different."""
    return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _look(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


def _entries(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder or ".") as entries:
            yield from (entry.path for entry in entries if entry.is_file())
    except OSError:
        return


def _tree(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in SKIPPED:
                    continue
                if entry.is_dir():
                    yield from _tree(entry.path)
                elif entry.name.endswith(SUFFIXES):
                    yield entry.path
    except OSError:
        return
