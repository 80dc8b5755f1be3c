"""From a file in the landing folder to a delivered webhook, under `dagster dev`: where each second goes.

    .venv/bin/python -m benchmarks.drop --rounds 3

Prints a table and, as its last line, one JSON object. Seconds are medians over the rounds; the first file, which also
makes the tables, is not counted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
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

import yaml
from dagster import DagsterEventType, DagsterInstance, RunRecord, RunsFilter
from rich.console import Console
from rich.table import Table

from benchmarks.processes import cpu_seconds
from orchestration.commands.services import local_platform, stop
from orchestration.dagster_home import dagster_yaml, dev_command
from orchestration.dagster_names import BATCH_JOB
from orchestration.platform import CampaignPlatform
from orchestration.settings import Settings
from orchestration.warm.beforehand import warmed

PATIENCE_SECONDS = 300.0
IDLE_SECONDS = 10.0


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


def measure(rounds: int, configuration: str = "warm") -> dict[str, Any]:
    """Seconds of each part, medians; the whole and the processor's seconds by their medians and 95th percentiles.

    `configuration`: one of CONFIGURATIONS.
    """
    with tempfile.TemporaryDirectory(prefix="tripline-bench-") as folder:
        settings = Settings.all_in(Path(folder))
        settings.landing_path.mkdir(parents=True)
        module = CONFIGURATIONS[configuration](settings)
        with local_platform(settings.home) as platform:
            command, environment = dev_command(settings, port=free_port())
            command[command.index("-m") + 1] = module
            log = (settings.home / "dagster.log").open("wb")
            with warmed(settings, environment, log):
                dagster = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
                try:
                    drop_round(settings, platform, dagster)
                    idle = _idle_cpu(settings)
                    times = [_costed_round(settings, platform, dagster, idle) for _ in range(rounds)]
                finally:
                    stop(dagster)
                    log.close()
    totals = [sum(parts.values()) for parts, _ in times]
    spent = [cpu for _, cpu in times]
    names = dict.fromkeys(name for parts, _ in times for name in parts)
    return {
        "parts": {name: round(statistics.median(parts.get(name, 0.0) for parts, _ in times), 2) for name in names},
        "drop_to_delivered_p50": round(statistics.median(totals), 2),
        "drop_to_delivered_p95": p95(totals),
        "cpu_p50": round(statistics.median(spent), 2),
        "rounds": rounds,
    }


def p95(values: list[float]) -> float:
    return round(sorted(values)[max(0, math.ceil(0.95 * len(values)) - 1)], 2)


def _warm(settings: Settings) -> str:
    return "orchestration.definitions"


def _in_process(settings: Settings) -> str:
    """As Dagster documents it, but with every step in one process."""
    _write_yaml(settings)
    return "orchestration.definitions"


def _documented(settings: Settings) -> str:
    """Default launcher, a process for each step, dbt's own command."""
    _write_yaml(settings)
    return "benchmarks.documented"


def _in_worker(settings: Settings) -> str:
    """Warm, with dbt in the run's own process."""
    return "benchmarks.in_worker"


# Each writes what its dagster.yaml needs, and names the module of the definitions.
CONFIGURATIONS = {"documented": _documented, "in_process": _in_process, "in_worker": _in_worker, "warm": _warm}


def _write_yaml(settings: Settings) -> None:
    """Without the mark of ours, so that it is left alone; the pools, because one process can write to DuckDB."""
    ours = dagster_yaml(settings)
    kept = {name: ours[name] for name in ("telemetry", "nux", "concurrency", "compute_logs", "local_artifact_storage")}
    settings.dagster_path.mkdir(parents=True)
    (settings.dagster_path / "dagster.yaml").write_text(yaml.safe_dump(kept))


def _idle_cpu(settings: Settings) -> float:
    """Processor seconds a second, while nothing happens."""
    time.sleep(IDLE_SECONDS / 2)
    before = cpu_seconds(settings.dagster_path)
    time.sleep(IDLE_SECONDS)
    return (cpu_seconds(settings.dagster_path) - before) / IDLE_SECONDS


def _costed_round(
    settings: Settings, platform: CampaignPlatform, dagster: subprocess.Popen[bytes], idle: float
) -> tuple[dict[str, float], float]:
    """Parts in seconds, and processor seconds of all that runs on this home, less what it takes when idle."""
    before, started = cpu_seconds(settings.dagster_path), time.monotonic()
    parts = drop_round(settings, platform, dagster)
    spent = cpu_seconds(settings.dagster_path) - before
    return parts, spent - idle * (time.monotonic() - started)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def drop_round(settings: Settings, platform: CampaignPlatform, dagster: subprocess.Popen[bytes]) -> dict[str, float]:
    """Seconds of each part up to the delivery, in their order. Back when the run has ended."""
    user = f"user-{uuid.uuid4().hex[:12]}"
    dropped = _drop(settings.landing_path, user)
    delivered = wait(lambda: delivered_at(platform, user), dagster)
    with DagsterInstance.from_config(str(settings.dagster_path)) as instance:
        batch = run_after(instance, BATCH_JOB, dropped)
        parts = parts_of(instance, batch, dropped, delivered)
        wait(lambda: has_ended(instance, batch.dagster_run.run_id) or None, dagster)
    return parts


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
    with draft.open("w") as file:
        file.write(json.dumps(event) + "\n")
        file.flush()
        os.fsync(file.fileno())  # as who renames does, so that nothing is lost
    draft.rename(landing / f"{user}.jsonl")
    return time.time()


def delivered_at(platform: CampaignPlatform, user: str) -> float | None:
    for item in platform.received()["effects"]:
        if item["user_id"] == user:
            return datetime.fromisoformat(item["received_at"]).timestamp()
    return None


def wait(look: Callable[[], Any], dagster: subprocess.Popen[bytes]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and dagster.poll() is None:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    raise SystemExit("nothing was delivered: Dagster ended, or took longer than five minutes")


def run_after(instance: DagsterInstance, job: str, moment: float) -> RunRecord:
    """The first run of the job that was under way at `moment` or came after it."""
    records = instance.get_run_records(RunsFilter(job_name=job), ascending=True)
    return next(record for record in records if record.end_time is None or record.end_time >= moment)


def has_ended(instance: DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and run.is_finished


def parts_of(instance: DagsterInstance, record: RunRecord, dropped: float, delivered: float) -> dict[str, float]:
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
            marks.append((f"step {entry.step_key}", entry.timestamp))
    parts: dict[str, float] = {}
    at = dropped
    for name, mark in marks:
        parts[name] = parts.get(name, 0.0) + max(min(mark, delivered) - at, 0.0)
        at = max(at, min(mark, delivered))
    # Of a step that is under way, or of the push sensor's run.
    return {**parts, "to the delivery": delivered - at}


if __name__ == "__main__":
    main()
