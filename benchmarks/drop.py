"""From a file in the landing folder to a delivered webhook, under `dagster dev`: where each second goes.

    .venv/bin/python -m benchmarks.drop --rounds 3

Prints a table and, as its last line, one JSON object. Seconds are medians over the rounds; the first file, which also
makes the tables, is not counted.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagster import DagsterEventType, DagsterInstance, RunRecord, RunsFilter
from rich.console import Console
from rich.table import Table

from orchestration.commands.services import local_platform, stop
from orchestration.dagster_home import dev_command
from orchestration.dagster_names import BATCH_JOB, PUSH_JOB
from orchestration.platform import CampaignPlatform
from orchestration.settings import Settings

PATIENCE_SECONDS = 300.0
BUILD_STEP = "dbt_models"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drop", description="Drop to delivered, by its parts.")
    parser.add_argument("--rounds", type=int, default=3, help="files dropped one after the other")
    options = parser.parse_args()
    figures = measure(options.rounds)
    table = Table(title="from file drop to delivered webhook, seconds")
    table.add_column("part")
    table.add_column("median", justify="right")
    for part, seconds in figures["parts"].items():
        table.add_row(part, f"{seconds:.2f}")
    table.add_row("drop to delivered", f"{figures['drop_to_delivered_p50']:.2f}")
    Console().print(table)
    print(json.dumps(figures))


def measure(rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tripline-bench-") as folder:
        settings = Settings.all_in(Path(folder))
        settings.landing_path.mkdir(parents=True)
        with local_platform(settings.home) as platform:
            command, environment = dev_command(settings, port=_free_port())
            log = (settings.home / "dagster.log").open("wb")
            dagster = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
            try:
                times = [_round(settings, platform, dagster) for _ in range(rounds + 1)][1:]
            finally:
                stop(dagster)
                log.close()
    parts = {part: round(statistics.median(one[part] for one in times), 2) for part in times[0]}
    totals = [sum(one.values()) for one in times]
    return {"parts": parts, "drop_to_delivered_p50": round(statistics.median(totals), 2), "rounds": rounds}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _round(settings: Settings, platform: CampaignPlatform, dagster: subprocess.Popen[bytes]) -> dict[str, float]:
    """Seconds of each part, in the order in which they follow each other."""
    user = f"user-{uuid.uuid4().hex[:12]}"
    dropped = _drop(settings.landing_path, user)
    delivered = _wait(lambda: _delivered_at(platform, user), dagster)
    with DagsterInstance.from_config(str(settings.dagster_path)) as instance:
        batch = _run_after(instance, BATCH_JOB, dropped)
        batch_parts, outbox_ready = _parts_of(instance, batch, dropped, None)
        push = _run_after(instance, PUSH_JOB, delivered)
        push_parts, _ = _parts_of(instance, push, outbox_ready, delivered)
        _wait(lambda: _has_ended(instance, batch.dagster_run.run_id) or None, dagster)
    return {f"batch: {part}": seconds for part, seconds in batch_parts.items()} | {
        f"push: {part}": seconds for part, seconds in push_parts.items()
    }


def _drop(landing: Path, user: str) -> float:
    """A cart worth 300: high_value_cart fires at once, for a user of its own. Returns when it was dropped."""
    event = {
        "type": "track",
        "event": "Product Added",
        "messageId": uuid.uuid4().hex,
        "userId": user,
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"product_id": "sku-1", "price": 300, "quantity": 1},
    }
    draft = landing / f"{user}.tmp"
    draft.write_text(json.dumps(event) + "\n")
    draft.rename(landing / f"{user}.jsonl")
    return time.time()


def _delivered_at(platform: CampaignPlatform, user: str) -> float | None:
    for item in platform.received()["effects"]:
        if item["user_id"] == user:
            return datetime.fromisoformat(item["received_at"]).timestamp()
    return None


def _wait(look: Callable[[], Any], dagster: subprocess.Popen[bytes]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and dagster.poll() is None:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    raise SystemExit("nothing was delivered: Dagster ended, or took longer than five minutes")


def _run_after(instance: DagsterInstance, job: str, moment: float) -> RunRecord:
    """The first run of the job that was under way at `moment` or came after it."""
    records = instance.get_run_records(RunsFilter(job_name=job), ascending=True)
    return next(record for record in records if record.end_time is None or record.end_time >= moment)


def _has_ended(instance: DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and run.is_finished


def _parts_of(
    instance: DagsterInstance, record: RunRecord, asked_from: float, delivered: float | None
) -> tuple[dict[str, float], float]:
    """Seconds by part, and when the outbox was complete (a batch) or the delivery had been made (a push)."""
    marks = [("sensor wait", record.create_timestamp.timestamp())]
    for entry in instance.all_logs(record.dagster_run.run_id):
        kind = entry.dagster_event_type
        if kind is DagsterEventType.PIPELINE_STARTING:
            marks.append(("queue", entry.timestamp))
        elif kind is DagsterEventType.PIPELINE_START:
            marks.append(("process start and imports", entry.timestamp))
        elif kind is DagsterEventType.STEP_START:
            marks.append(("between steps", entry.timestamp))
        elif kind is DagsterEventType.STEP_SUCCESS:
            marks.append((f"step {entry.step_key}", delivered or entry.timestamp))
            if delivered is not None or entry.step_key == BUILD_STEP:
                break
    parts: dict[str, float] = {}
    at = asked_from
    for name, mark in marks:
        parts[name] = parts.get(name, 0.0) + max(mark - at, 0.0)
        at = max(at, mark)
    return parts, at


if __name__ == "__main__":
    main()
