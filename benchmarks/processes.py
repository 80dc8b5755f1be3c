"""What a group of processes costs, whoever started them: those whose environment names the same Dagster home."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil


def cpu_seconds(dagster_home: Path) -> float:
    """Of the processor: of all that run on this home, and of the children that they have seen end."""
    total = 0.0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("DAGSTER_HOME") == str(dagster_home):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total
