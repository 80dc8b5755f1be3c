"""`python -m benchmarks.endurance`: hundreds of batches in a row under `dagster dev`; does anything grow?

Drops a file, waits for its delivery and the end of its run, and does so again. Prints, every so many batches, the
memory and the open files of each process that stays, and as its last line one JSON object: the medians of the first and
of the last tenth, and what was left behind at the end.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.drop import drop_round, free_port
from benchmarks.processes import of_home
from orchestration.commands.services import local_platform, stop
from orchestration.dagster_home import dev_command
from orchestration.settings import Settings
from orchestration.warm.beforehand import warmed

SHARED_MEMORY = Path("/dev/shm")
# What stays while batches come and go, by a word of its command line.
ROLES = {"template": "orchestration.warm.template", "daemon": "dagster._daemon", "code": "api grpc", "ui": "webserver"}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--batches", type=int, default=500, help="one after the other")
    parser.add_argument("--every", type=int, default=25, help="batches between two lines of the table")
    options = parser.parse_args()
    print(json.dumps(endure(options.batches, options.every, Console())))


def endure(batches: int, every: int, console: Console) -> dict[str, Any]:
    semaphores = _shared()
    with tempfile.TemporaryDirectory(prefix="tripline-bench-") as folder:
        settings = Settings.all_in(Path(folder))
        settings.landing_path.mkdir(parents=True)
        with local_platform(settings.home) as platform:
            command, environment = dev_command(settings, port=free_port())
            log = (settings.home / "dagster.log").open("wb")
            seen: list[dict[str, float]] = []
            with warmed(settings, environment, log):
                dagster = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
                try:
                    drop_round(settings, platform, dagster)
                    for number in range(batches):
                        seconds = sum(drop_round(settings, platform, dagster).values())
                        seen.append({"seconds": seconds, **_figures(settings.dagster_path)})
                        if number % every == every - 1:
                            console.print(number + 1, _shown(seen[-every:]), highlight=False)
                finally:
                    stop(dagster)
                    log.close()
        time.sleep(1.0)
        left = [process.info["cmdline"] for process in of_home(settings.dagster_path, "cmdline")]
    tenth = max(1, batches // 10)
    first, last = _shown(seen[:tenth]), _shown(seen[-tenth:])
    table = Table(title=f"{batches} batches in a row, medians of {tenth}")
    for column in ("what", "first", "last"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name in first:
        table.add_row(name, f"{first[name]:,}", f"{last.get(name, 0):,}")
    console.print(table)
    found = {
        "first": first,
        "last": last,
        "processes_left": len(left),
        "shared_memory_left": len(_shared() - semaphores),
    }
    return {"batches": batches, **found}


def _figures(home: Path) -> dict[str, float]:
    """Resident MiB and open files of each process that stays. Of several with one command line that is the first, the
    template and not its forks."""
    figures: dict[str, float] = {"processes": 0}
    for process in of_home(home, "cmdline"):
        figures["processes"] += 1
        words = " ".join(process.info["cmdline"] or [])
        role = next((role for role, word in ROLES.items() if word in words), None)
        if role is not None and f"{role} MiB" not in figures:
            with suppress(psutil.Error):
                figures[f"{role} MiB"] = process.memory_info().rss / 2**20
                figures[f"{role} open files"] = process.num_fds()
    return figures


def _shown(seen: list[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in seen for name in one)
    return {name: round(statistics.median(one[name] for one in seen if name in one), 2) for name in names}


def _shared() -> set[str]:
    return {path.name for path in SHARED_MEMORY.iterdir()} if SHARED_MEMORY.exists() else set()


if __name__ == "__main__":
    main()
