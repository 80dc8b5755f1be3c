"""`make bench-latency`: from a file drop to a delivered webhook, as documented, in one process, and warm.

Prints a table and, as its last line, one JSON object. Everything is measured in the same run, one after the other, each
on a fresh home under its own `dagster dev`, the first file not counted.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.drop import CONFIGURATIONS, measure

TITLES = {
    "documented": "default launcher, a process for each step, dbt's command",
    "in_process": "as documented, but all steps in one process",
    "in_worker": "warm, but dbt in the run's own process",
    "warm": "as `make dev`: run and dbt forked from the template",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="files dropped one after the other")
    parser.add_argument("--only", nargs="+", choices=list(CONFIGURATIONS), default=list(CONFIGURATIONS))
    options = parser.parse_args()
    console = Console()
    figures: dict[str, Any] = {}
    for name in options.only:
        with console.status(f"{options.rounds} files, {TITLES[name]}"):
            figures[name] = measure(options.rounds, name)
        console.print(f"{name}: {figures[name]}", highlight=False)
    table = Table(title="drop to delivered, seconds")
    for column in ("configuration", "median", "p95", "processor"):
        table.add_column(column, justify="left" if column == "configuration" else "right")
    for name, one in figures.items():
        numbers = [one[key] for key in ("drop_to_delivered_p50", "drop_to_delivered_p95", "cpu_p50")]
        table.add_row(TITLES[name], *[f"{number:.2f}" for number in numbers])
    console.print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
