"""`python -m benchmarks.page_event`: from a page's event to a delivered webhook, under `dagster dev` with a collector.

Every round is a visitor of its own, whose third view of one category crosses a threshold. Prints where time goes and,
as the last line, one JSON object. The first visitor, whose batch also makes the tables, is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml
from dagster import DagsterInstance
from rich.console import Console
from rich.table import Table

from benchmarks.drop import delivered_at, free_port, has_ended, p95, parts_of, run_after, wait
from orchestration.commands.services import local_platform, stop
from orchestration.dagster_home import dev_command
from orchestration.dagster_names import BATCH_JOB
from orchestration.platform import CampaignPlatform
from orchestration.settings import Settings
from orchestration.sources.collected import CROSSING_MARK
from orchestration.validation.rules import rules_file
from orchestration.warm.beforehand import warmed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_event", description=__doc__)
    parser.add_argument("--events", type=int, default=50, help="visitors who cross a threshold, one after the other")
    options = parser.parse_args()
    figures = measure(options.events)
    table = Table(title="from a page's event to the delivered webhook, seconds")
    table.add_column("part")
    table.add_column("median", justify="right")
    for part, seconds in figures["parts"].items():
        table.add_row(part, f"{seconds:.2f}")
    table.add_row("event to delivered", f"{figures['p50']:.2f}")
    table.add_row("95th percentile", f"{figures['p95']:.2f}")
    Console().print(table)
    print(json.dumps(figures))


def measure(events: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tripline-bench-") as folder:
        settings = Settings.all_in(Path(folder))
        settings.landing_path.mkdir(parents=True)
        rules_file(settings)
        with local_platform(settings.home) as platform, _collector(settings) as url:
            command, environment = dev_command(settings, port=free_port())
            with (settings.home / "dagster.log").open("wb") as log, warmed(settings, environment, log):
                dagster = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
                try:
                    _round(settings, platform, dagster, url)
                    rounds = [_round(settings, platform, dagster, url) for _ in range(events)]
                finally:
                    stop(dagster)
    totals = [sum(parts.values()) for parts in rounds]
    names = dict.fromkeys(name for parts in rounds for name in parts)
    return {
        "parts": {name: round(statistics.median(parts.get(name, 0.0) for parts in rounds), 2) for name in names},
        "p50": round(statistics.median(totals), 2),
        "p95": p95(totals),
        "events": events,
    }


@contextmanager
def _collector(settings: Settings) -> Iterator[str]:
    command = [str(Path(sys.executable).with_name("tripline")), "collect", "--port", "0", "--quiet"]
    environment = {**os.environ, **settings.place_variables}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield next(line.split()[1] for line in process.stdout if line.startswith("collector "))
        process.terminate()


def _round(
    settings: Settings, platform: CampaignPlatform, dagster: subprocess.Popen[bytes], url: str
) -> dict[str, float]:
    user = f"user-{uuid.uuid4().hex[:12]}"
    (key,) = yaml.safe_load((settings.home / "write_keys.yml").read_text())["site"]
    for number in range(2):
        _view(url, key, user, number)
    time.sleep(2.0)  # the first two are looked at apart, as a visitor's are
    sent = time.time()
    _view(url, key, user, 2)
    mark = settings.landing_path / CROSSING_MARK
    seen = wait(lambda: _time_of(mark, sent), dagster)
    delivered = wait(lambda: delivered_at(platform, user), dagster)
    with DagsterInstance.from_config(str(settings.dagster_path)) as instance:
        batch = run_after(instance, BATCH_JOB, seen)
        parts = {"to the crossing seen": max(seen - sent, 0.0), **parts_of(instance, batch, seen, delivered)}
        wait(lambda: has_ended(instance, batch.dagster_run.run_id) or None, dagster)
    return parts


def _time_of(mark: Path, since: float) -> float | None:
    at = mark.stat().st_mtime if mark.exists() else 0.0
    return at if at >= since - 0.01 else None  # the kernel's clock ticks every few milliseconds


def _view(url: str, key: str, user: str, number: int) -> None:
    event = {
        "event": "Product Viewed",
        "messageId": uuid.uuid4().hex,
        "userId": user,
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"product_id": f"p{number}", "category": "tea"},
    }
    httpx.post(f"{url}/v1/track", json=event, auth=(key, "")).raise_for_status()


if __name__ == "__main__":
    main()
