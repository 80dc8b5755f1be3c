"""`make bench`: prints a table and, as the last line, one JSON object with the figures.

Each figure is taken in a process of its own. What is compared is measured in the same run, on the same files.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.history import BLOCK_DAYS, make_stream, make_warehouse
from orchestration.settings import Settings

REFRESH_DAYS = 10  # a million events a day
PARTS = ["batches", "publish", "drop"]
PUBLISHED_MATCHES = 2_000_000
PUBLISHED_CHANGES = 5_000  # matches of one batch that changed
ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Tripline's measurements.")
    parser.add_argument("--days", type=int, nargs="+", default=[1, 10, 50], help="history, in days of a million events")
    parser.add_argument("--folder", type=Path, help="where the warehouses go (about 25 GB)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure; all by default")
    options = parser.parse_args()
    console = Console()
    figures: dict[str, Any] = {}
    if "batches" in options.parts:
        with tempfile.TemporaryDirectory(prefix="tripline-bench-", dir=options.folder) as folder:
            figures |= _measure_batches(console, Path(folder), options.days)
        _show(console, figures)
    if "publish" in options.parts:
        with console.status(f"publishing at {PUBLISHED_MATCHES:,} matches"):
            sizes = ("--matches", str(PUBLISHED_MATCHES), "--changed", str(PUBLISHED_CHANGES))
            figures["publish"] = _run("benchmarks.publish", *sizes, "--rounds", str(ROUNDS))
    if "drop" in options.parts:
        with console.status("dropping files under `dagster dev`"):
            figures["drop"] = _run("benchmarks.drop", "--rounds", str(ROUNDS))
    print(json.dumps(figures))


def _measure_batches(console: Console, folder: Path, days: list[int]) -> dict[str, Any]:
    figures: dict[str, Any] = {"batches": {}}
    with console.status(f"simulating {BLOCK_DAYS} days of a million events"):
        stream, batches = make_stream(folder / "stream", min(max(days), BLOCK_DAYS))
    for count in days:
        settings = Settings.all_in(folder / f"history-{count}")
        with console.status(f"making a history of {count} million events"):
            rows = make_warehouse(settings, stream, count)
        console.print(f"{rows:,} events of history: first build", highlight=False)
        first = _measure("build", settings)
        if count == REFRESH_DAYS:
            figures["floor"] = _measure("floor", settings)
            figures["full_refresh"] = _measure("refresh", settings) | {"events": rows}
        console.print(f"{rows:,} events of history: micro-batches of 10,000", highlight=False)
        figures["batches"][str(rows)] = _measure("batch", settings, *batches) | {"first_build": first}
        shutil.rmtree(settings.home)
    measured = [figures["batches"][rows] for rows in sorted(figures["batches"], key=int)]
    for what in ("sql_seconds", "seconds", "peak_gib"):
        figures[f"growth_of_{what}"] = round(measured[-1][what] / measured[0][what], 2)
    if "full_refresh" in figures:
        refresh = figures["full_refresh"]
        refresh["events_per_second"] = round(refresh["events"] / refresh["sql_seconds"])
        refresh["ratio_to_floor"] = round(refresh["sql_seconds"] / figures["floor"]["seconds"], 1)
    return figures


def _measure(what: str, settings: Settings, *files: Path) -> dict[str, Any]:
    return _run("benchmarks.measure", what, str(settings.home), *map(str, files))


def _run(module: str, *arguments: str) -> dict[str, Any]:
    """The JSON object on the last line of what the module prints; the lines before it are passed on."""
    command = [sys.executable, "-m", module, *arguments]
    *told, last = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    for line in told:
        print(line)
    figures: dict[str, Any] = json.loads(last)
    return figures


def _show(console: Console, figures: dict[str, Any]) -> None:
    table = Table(title="a micro-batch of 10,000 events")
    for column in ("history", "SQL s", "load s", "dbt s", "publish s", "overall s", "peak GiB", "users", "working set"):
        table.add_column(column, justify="right")
    for rows, of in figures["batches"].items():
        keys = ("sql_seconds", "load_seconds", "build_seconds", "publish_seconds", "seconds", "peak_gib")
        sizes = (f"{of['affected_users']:,}", f"{of['working_set']:,}")
        table.add_row(f"{int(rows):,}", *(f"{of[key]:.2f}" for key in keys), *sizes)
    console.print(table)
    if "full_refresh" in figures:
        refresh = figures["full_refresh"]
        console.print(
            f"full refresh of {refresh['events']:,} events: {refresh['sql_seconds']} s of SQL, "
            f"{refresh['events_per_second']:,} events/s, {refresh['peak_gib']} GiB, "
            f"{refresh['ratio_to_floor']} times the {figures['floor']['seconds']} s of reading and sorting them",
            highlight=False,
        )


if __name__ == "__main__":
    main()
