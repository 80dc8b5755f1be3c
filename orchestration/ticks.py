"""What sensors and the schedule look at. Nothing here writes; a clock only ever delays a request, never names it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from orchestration.atomic_files import wal_of
from orchestration.dagster_settings import DagsterSettings
from orchestration.project_files import project_fingerprint
from orchestration.settings import Settings
from orchestration.sources.landing import name_in
from orchestration.warehouse import connect, read_sql

CONTENT_TAG = "tripline/content"
PROJECT_TAG = "tripline/project"  # on every batch: the fingerprint of the project it was built with

LOOK_SECONDS = 0.1

IN_PROGRESS = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
UNSUCCESSFUL = [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


def hash_of(*parts: object) -> str:
    return hashlib.sha256("\0".join(str(part) for part in parts).encode()).hexdigest()[:32]


def files_hash(settings: Settings, files: list[Path]) -> str:
    """Of names, sizes and times of change: a file that is mended in place is a new one."""
    parts: list[object] = []
    for path in files:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        parts += [name_in(settings.landing_path, path), stat.st_size, stat.st_mtime_ns]
    return hash_of(*parts)


def patiently(look: Callable[[], dg.RunRequest | dg.SkipReason]) -> dg.RunRequest | dg.SkipReason:
    """What `look` says as soon as it asks for a run; its last reason to skip when the tick's patience is over."""
    deadline = time.monotonic() + DagsterSettings().tick_patience_seconds
    while True:
        said = look()
        if isinstance(said, dg.RunRequest) or time.monotonic() + LOOK_SECONDS > deadline:
            return said
        time.sleep(LOOK_SECONDS)


def version_of(warehouse: Path) -> list[tuple[int, int]]:
    """Changes with every write to the file: cheaper than opening it to see whether there is news."""
    found = []
    for path in (warehouse, wal_of(warehouse)):
        with suppress(FileNotFoundError):
            stat = path.stat()
            found.append((stat.st_size, stat.st_mtime_ns))
    return found


def busy_reason(instance: DagsterInstance, job_name: str) -> str | None:
    """Why not to ask for another run now: the one that is under way may take the same content."""
    runs = instance.get_runs(RunsFilter(job_name=job_name, statuses=IN_PROGRESS), limit=1)
    return f"run {runs[0].run_id[:8]} of {job_name} is {runs[0].status.value.lower()}" if runs else None


def run_request(instance: DagsterInstance, job_name: str, content: str) -> dg.RunRequest | dg.SkipReason:
    """Asks for a run for `content`, once; once more for every run that carried it and failed or was cancelled.

    Dagster never runs a key twice, failed or not, so the key counts those runs. From the third on each waits twice
    as long as the one before: what fails at once must not fail every five seconds.
    """
    carried = RunsFilter(job_name=job_name, tags={CONTENT_TAG: content}, statuses=UNSUCCESSFUL)
    failed = instance.get_runs_count(carried)
    wait = _seconds_left(instance, carried, failed)
    if wait > 0:
        return dg.SkipReason(f"the last {failed} runs for this failed; the next one starts in {wait:.0f} s")
    return dg.RunRequest(run_key=f"{content}-{failed}", tags={CONTENT_TAG: content})


def _seconds_left(instance: DagsterInstance, carried: RunsFilter, failed: int) -> float:
    if failed < 2:
        return 0.0
    settings = DagsterSettings()
    delay = min(settings.retry_seconds * 2.0 ** min(failed - 2, 30), settings.retry_max_seconds)
    (last,) = instance.get_run_records(carried, limit=1)
    return (last.end_time or last.create_timestamp.timestamp()) + delay - time.time()


def unfinished_batch(settings: Settings) -> int | None:
    """The last batch, where it was loaded and not built to the end. Raises WarehouseLocked."""
    if not settings.warehouse_path.exists():
        return None
    wait = DagsterSettings().tick_wait_seconds
    with connect(settings.warehouse_path, read_only=True, wait_seconds=wait) as warehouse:
        row = warehouse.execute(read_sql("dagster_unfinished_batch")).fetchone()
    return int(row[0]) if row and row[0] is not None else None


def was_ever_built(settings: Settings) -> bool:
    """Whether a build ever ended well. Raises WarehouseLocked."""
    if not settings.warehouse_path.exists():
        return False
    wait = DagsterSettings().tick_wait_seconds
    with connect(settings.warehouse_path, read_only=True, wait_seconds=wait) as warehouse:
        return bool(warehouse.execute("select count(*) > 0 from batches.finished_builds").fetchall()[0][0])


def catch_up(instance: DagsterInstance, settings: Settings, job_name: str) -> tuple[str, str] | None:
    """(why, hash of what) where there is work that no waiting file announces: a batch that was loaded and not built,
    a last run that failed, models or seeds that changed since the last run that ended well.

    The hash names that last run: what happens a second time, say a threshold set back, is asked for a second time.
    Raises WarehouseLocked.
    """
    unfinished = unfinished_batch(settings)
    ended = RunsFilter(job_name=job_name, statuses=[DagsterRunStatus.SUCCESS, *UNSUCCESSFUL])
    good = _last(instance, RunsFilter(job_name=job_name, statuses=[DagsterRunStatus.SUCCESS]))
    last = _last(instance, ended)
    fingerprint = project_fingerprint()
    if unfinished is not None:
        why = f"batch {unfinished} is loaded and not built to the end"
    elif last and last.status in UNSUCCESSFUL:
        why = f"run {last.run_id[:8]} did not end well"
    elif settings.warehouse_path.exists() and (good is None or good.tags.get(PROJECT_TAG) != fingerprint):
        why = "models, macros or seeds changed"
    else:
        return None
    return why, hash_of(unfinished, fingerprint, good.run_id if good else "")


def _last(instance: DagsterInstance, which: RunsFilter) -> dg.DagsterRun | None:
    runs = instance.get_runs(which, limit=1)
    return runs[0] if runs else None
