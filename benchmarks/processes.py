"""What a group of processes costs, whoever started them: those whose environment names the same Dagster home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil


def of_home(dagster_home: Path, *attributes: str) -> Iterator[psutil.Process]:
    """Those that run on this home; `attributes` are read along and are in `info`."""
    for process in psutil.process_iter(list(attributes)):
        with suppress(psutil.Error):
            if process.environ().get("DAGSTER_HOME") == str(dagster_home):
                yield process


def cpu_seconds(dagster_home: Path) -> float:
    """Of the processor: of all that run on this home, and of the children that they have seen end."""
    total = 0.0
    for process in of_home(dagster_home):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
