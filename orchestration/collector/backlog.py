"""What waits for the loader, and whether the disk has room for more."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from orchestration.collector.settings import CollectorSettings
from orchestration.collector.spool import OPEN_DIR
from orchestration.sources.collected import COLLECTED


@dataclass(frozen=True)
class Backlog:
    """`oldest_seconds`: age of the oldest slice that is not loaded; 0 where there is none. `refusal`: why nothing more
    is taken, empty where it is."""

    waiting_bytes: int
    oldest_seconds: float
    free_bytes: int
    refusal: str


def look(landing: Path, settings: CollectorSettings) -> Backlog:
    waiting, oldest = 0, time.time()
    for folder in (landing / COLLECTED, landing / OPEN_DIR):
        for path in folder.rglob("*.jsonl"):
            try:
                stat = path.stat()
            except FileNotFoundError:  # the loader just took it
                continue
            waiting += stat.st_size
            oldest = min(oldest, stat.st_mtime)
    free = shutil.disk_usage(landing).free
    refusal = ""
    if waiting > settings.max_waiting_bytes:
        refusal = "the loader has not caught up"
    elif free < settings.min_free_bytes:
        refusal = "the disk is nearly full"
    return Backlog(waiting, max(time.time() - oldest, 0.0), free, refusal)
