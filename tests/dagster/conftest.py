"""The project's Dagster definitions over a home in a temporary folder, and runs of their jobs in this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration.settings import Settings, get_settings
from orchestration.simulate import simulate
from tests.push.conftest import SECRET, Platform, Shop

BATCH_JOB = "process_micro_batch_job"
PUSH_JOB = "push_firings_job"
AUDIT_JOB = "audit_tables_job"
HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("TRIPLINE_", "DAGSTER_"))]:
            patch.delenv(name)
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "yes")
        patch.setenv("TRIPLINE_HOME", str(tmp_path_factory.mktemp("home")))
        # Files here are written and renamed within one tick of the file system's clock.
        patch.setenv("TRIPLINE_SETTLE_SECONDS", "0")
        yield patch


@pytest.fixture(scope="session")
def definitions(clean_environment: pytest.MonkeyPatch) -> dg.Definitions:
    """Loaded once: the dbt project is parsed on the way."""
    from orchestration.definitions import defs

    loaded: dg.Definitions = defs()
    return loaded


@pytest.fixture(scope="session")
def kept_instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    # On disk, because a schedule is given no other; once, because making its databases takes seconds.
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as instance:
        yield instance


@pytest.fixture
def instance(kept_instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """An instance without runs."""
    yield kept_instance
    kept_instance.wipe()


@pytest.fixture
def home(definitions: dg.Definitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A home of its own for one test."""
    monkeypatch.setenv("TRIPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRIPLINE_DAGSTER_TICK_WAIT_SECONDS", "0")
    monkeypatch.setenv("TRIPLINE_DAGSTER_TICK_PATIENCE_SECONDS", "0")
    monkeypatch.setenv("TRIPLINE_LOCK_TIMEOUT_SECONDS", "0.2")
    return get_settings()


@pytest.fixture
def shop(home: Settings) -> Shop:
    """A warehouse with an outbox, without the events and builds that led to it."""
    return Shop(home.warehouse_path)


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    platform = Platform(tmp_path / "received.jsonl", is_process=False)
    monkeypatch.setenv("TRIPLINE_WEBHOOK_URL", f"{platform.url}/hook")
    monkeypatch.setenv("TRIPLINE_WEBHOOK_SECRET", SECRET)
    yield platform
    platform.kill()


class Tick:
    """One look of a sensor or of the schedule."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance, name: str) -> None:
        repository = definitions.get_repository_def()
        if repository.has_sensor_def(name):
            sensor = dg.build_sensor_context(instance=instance, repository_def=repository)
            data: Any = repository.get_sensor_def(name).evaluate_tick(sensor)
        else:
            schedule = dg.build_schedule_context(instance=instance, repository_def=repository)
            data = repository.get_schedule_def(name).evaluate_tick(schedule)
        self.request: dg.RunRequest | None = data.run_requests[0] if data.run_requests else None
        self.skip: str = data.skip_message or ""

    @property
    def key(self) -> str:
        assert self.request is not None, self.skip
        assert self.request.run_key
        return self.request.run_key

    @property
    def tags(self) -> dict[str, str]:
        assert self.request is not None, self.skip
        return dict(self.request.tags)


def run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, tags: dict[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    return definitions.get_job_def(job).execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def metadata_of(instance: dg.DagsterInstance, *key: str) -> dict[str, Any]:
    event = instance.get_latest_materialization_event(dg.AssetKey(key))
    assert event is not None and event.asset_materialization is not None, key
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def failure_text(instance: dg.DagsterInstance, run_id: str) -> str:
    """What the failed step says on its page."""
    (record,) = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    event = record.event_log_entry.dagster_event
    assert event is not None
    failure = event.step_failure_data.user_failure_data
    assert failure is not None and failure.description
    return failure.description


def drop(settings: Settings, events: int = 1_500, seed: int = 5) -> Path:
    """A file of the shop's last two days in the landing folder, so that some of it is young enough to fire."""
    settings.landing_path.mkdir(parents=True, exist_ok=True)
    start = datetime.now(UTC) - timedelta(days=2)
    (path,) = simulate(settings.landing_path, events=events, days=2, users=60, seed=seed, start=start).files
    return path


@pytest.fixture
def hold() -> Iterator[Any]:
    """Holds a warehouse from another process, as a running batch does; call the returned function to let go."""
    holders: list[subprocess.Popen[str]] = []

    def start(path: Path) -> Any:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        holders.append(holder)
        assert holder.stdout and holder.stdout.readline() == "held\n"

        def let_go() -> None:
            holder.communicate()

        return let_go

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate()
