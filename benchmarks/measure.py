"""One measurement in a process of its own, so that its peak memory is its own: prints one JSON object.

python -m benchmarks.measure build|refresh|batch|floor HOME [FILE]
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from benchmarks.history import WARMING
from benchmarks.memory import peak_kib
from orchestration.dbt import DBT_PROJECT_DIR, log_level
from orchestration.load import load_batch
from orchestration.publish import publish
from orchestration.settings import Settings
from orchestration.warehouse import connect


def main() -> None:
    what, home, *rest = sys.argv[1:]
    settings = Settings.all_in(Path(home))
    figures = {"floor": floor, "build": build, "refresh": refresh, "batch": batch}[what](settings, *rest)
    figures["peak_gib"] = round(peak_kib() / 2**20, 2)
    print(json.dumps(figures))


def floor(settings: Settings) -> dict[str, Any]:
    """Seconds that DuckDB needs to read the columns the triggers read and to sort them by user and time."""
    with connect(settings.warehouse_path) as connection:
        started = time.perf_counter()
        connection.execute(
            "create temp table sorted as select identity_id, occurred_at, event_key, event_name, page_url, product_id, "
            "category, price, quantity from staging.stg_events order by identity_id, occurred_at, event_key"
        )
        return {"seconds": round(time.perf_counter() - started, 2)}


def build(settings: Settings) -> dict[str, Any]:
    """The first build, and the first publication after it, which is a copy of everything."""
    figures = _dbt(settings, [])
    started = time.perf_counter()
    publish(settings)
    return figures | {"publish_seconds": round(time.perf_counter() - started, 2)}


def refresh(settings: Settings) -> dict[str, Any]:
    return _dbt(settings, ["--full-refresh"])


def batch(settings: Settings, *files: str) -> dict[str, Any]:
    """The first WARMING of the files warm this process and the system's page cache up, which a first build of this
    history empties; of the others the medians, and the last one's slowest models."""
    os.sync()  # a history that was just made is still on its way to the disk
    measured = [_batch(settings, Path(file)) for file in files][WARMING:]
    seconds = [name for name in measured[-1] if name.endswith("seconds")]
    figures = {name: round(statistics.median(one[name] for one in measured), 2) for name in seconds}
    figures["slowest"] = measured[-1]["slowest"]
    with connect(settings.warehouse_path) as connection:
        figures["affected_users"], figures["late_users"] = connection.execute(
            "select count(*), count(*) filter (where lateness <> 'on time') from batches.int_batch__affected_users"
        ).fetchall()[0]
        figures["working_set"] = connection.execute("select count(*) from batches.int_batch__events").fetchall()[0][0]
    return figures


def _batch(settings: Settings, file: Path) -> dict[str, Any]:
    landed = settings.landing_path / file.name
    landed.hardlink_to(file)
    started = time.perf_counter()
    load_batch(settings.warehouse_path, settings, replay=True, files=[landed])
    loaded = time.perf_counter()
    figures = _dbt(settings, [])
    built = time.perf_counter()
    publish(settings)
    ended = time.perf_counter()
    return figures | {
        "load_seconds": loaded - started,
        "build_seconds": built - loaded,
        "publish_seconds": ended - built,
        "seconds": ended - started,
    }


def _dbt(settings: Settings, options: list[str]) -> dict[str, Any]:
    """Seeds and models, no tests. Seconds in SQL are those in which a statement was running: dbt runs two at a time."""
    statements: dict[str, float] = defaultdict(float)
    spans: list[tuple[float, float]] = []

    def listen(event: Any) -> None:
        if event.info.name == "SQLQueryStatus":
            ended = time.perf_counter()
            statements[event.data.node_info.node_name or "-"] += event.data.elapsed
            spans.append((ended - event.data.elapsed, ended))

    places = {"--project-dir": DBT_PROJECT_DIR, "--profiles-dir": DBT_PROJECT_DIR, "--target-path": settings.dbt_target}
    arguments = ["--quiet", "--log-path", str(settings.home / "logs"), "--log-level-file", log_level(), "build"]
    arguments += [
        "--no-write-json",
        "--exclude-resource-type",
        "unit_test",
        "--exclude-resource-type",
        "test",
        *options,
    ]
    arguments += [str(word) for place in places.items() for word in place]
    os.environ["TRIPLINE_WAREHOUSE"] = str(settings.warehouse_path)
    started = time.perf_counter()
    result = dbtRunner(callbacks=[listen]).invoke(arguments)
    seconds = time.perf_counter() - started
    DuckDBConnectionManager.close_all_connections()
    if not result.success:
        raise SystemExit(f"dbt failed: {[r.message for r in result.result.results if r.status == 'error']}")
    slowest = sorted(statements.items(), key=lambda item: -item[1])[:6]
    return {
        "seconds": round(seconds, 2),
        "sql_seconds": round(_covered(spans), 2),
        "slowest": {name: round(value, 2) for name, value in slowest},
    }


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in which at least one of them was under way."""
    seconds = reached = 0.0
    for began, ended in sorted(spans):
        seconds += max(0.0, ended - max(began, reached))
        reached = max(reached, ended)
    return seconds


if __name__ == "__main__":
    main()
