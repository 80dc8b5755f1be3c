"""What publishing costs: one batch's changes applied to a copy of the last file, and the whole file made anew.

    .venv/bin/python -m benchmarks.publish --matches 2000000 --changed 5000

Prints a table and, as its last line, one JSON object. Seconds are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from orchestration.dbt import build
from orchestration.load import load_batch
from orchestration.publish import PublishReport, publish
from orchestration.settings import Settings
from orchestration.simulate import simulate
from orchestration.warehouse import connect

HERE = Path(__file__).parent


def run_script(connection: duckdb.DuckDBPyConnection, name: str, values: dict[str, Any]) -> None:
    """Runs benchmarks/<name>.sql."""
    for statement in connection.extract_statements((HERE / f"{name}.sql").read_text()):
        connection.execute(statement, {key: values[key] for key in statement.named_parameters})


def lay_out(settings: Settings, matches: int, users: int) -> None:
    """A warehouse whose tables dbt made, with a long history in them."""
    settings.landing_path.mkdir(parents=True)
    simulate(settings.landing_path, events=1000, days=5)
    load_batch(settings.warehouse_path, settings, replay=True)
    build(settings)
    with connect(settings.warehouse_path) as connection:
        run_script(connection, "publish_history", {"matches": matches, "users": users})


def change(settings: Settings, batch_id: int, users: int) -> None:
    """What one more build would leave behind."""
    with connect(settings.warehouse_path) as connection:
        run_script(connection, "publish_batch", {"batch_id": batch_id, "users": users})


def copy_seconds(settings: Settings) -> float:
    """What the disk alone takes for the published file's bytes, fsync included."""
    started = time.monotonic()
    copied = settings.home / "copied"
    with settings.published_path.open("rb") as source, copied.open("wb") as target:
        while block := source.read(1 << 24):
            target.write(block)
        target.flush()
        os.fsync(target.fileno())
    copied.unlink()
    return time.monotonic() - started


def measure(matches: int, changed: int, rounds: int) -> dict[str, Any]:
    """Publishes `rounds` batches of `changed` changed matches by delta, then makes the file anew."""
    with tempfile.TemporaryDirectory(prefix="tripline-bench-") as folder:
        settings = Settings.all_in(Path(folder))
        lay_out(settings, matches, users=max(1000, matches // 20))
        first = publish(settings)
        deltas: list[PublishReport] = []
        for number in range(rounds):
            change(settings, batch_id=2 + number, users=changed // 5)
            deltas.append(publish(settings))
            if deltas[-1].rebuilt:
                raise SystemExit(f"batch {number} was not published as a delta: {deltas[-1].reason}")
        rebuilds = [publish(settings, rebuild=True) for _ in range(3)]
        nothing = publish(settings)
        return {
            "matches": matches,
            "rows_changed_per_batch": deltas[-1].rows_changed["triggers.trigger_matches"],
            "batches": rounds,
            "delta_seconds": round(statistics.median(report.seconds for report in deltas), 3),
            "delta_seconds_worst": round(max(report.seconds for report in deltas), 3),
            "rebuild_seconds": round(statistics.median(report.seconds for report in [first, *rebuilds]), 3),
            "nothing_new_seconds": round(nothing.seconds, 3),
            "copy_and_fsync_seconds": round(copy_seconds(settings), 3),
            "megabytes_first": round(first.bytes / 1e6, 1),
            "megabytes_after_deltas": round(deltas[-1].bytes / 1e6, 1),
            "megabytes_rebuilt": round(rebuilds[-1].bytes / 1e6, 1),
        }


def main() -> None:
    """Parses the sizes, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--matches", type=int, default=2_000_000)
    parser.add_argument("--changed", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    figures = measure(arguments.matches, arguments.changed, arguments.rounds)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):28} {value:>14,}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
