"""Dagster's own folder, and the command that serves the UI with schedule and sensors on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import yaml

from orchestration.errors import ConfigError
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.warm.places import EVENTS_AT_ONCE

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
# What a run is made of. A change of any file there is a change of what the next run does.
LOADED_FOLDERS = ("orchestration", "dbt_project", "macros", "seeds", "tests/dbt")
MARKER = "# Written by Tripline. Take this line out to keep a file of your own.\n"


def dagster_yaml(settings: Settings) -> dict[str, Any]:
    """The instance's configuration. Storage is Dagster's default, SQLite under its home."""
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        # One run at a time for each pool: batches one after the other, pushes one after the other, a push beside a
        # batch. Counted by run, because a slot that a killed step held would stay taken.
        "concurrency": {
            "runs": {"max_concurrent_runs": 2},
            "pools": {"default_limit": 1, "granularity": "run"},
        },
        **_launching(settings),
        "run_monitoring": {"enabled": True, "poll_interval_seconds": 10, "start_timeout_seconds": 180},
        "run_retries": {"enabled": False},
        # A tick that waits for the warehouse must not hold up the others.
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 2},
        "compute_logs": {
            "module": "dagster._core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(settings.dagster_path / "compute_logs")},
        },
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(settings.dagster_path)},
        },
        "retention": {
            "schedule": {"purge_after_days": {"skipped": 1, "failure": 30, "success": 30}},
            "sensor": {"purge_after_days": {"skipped": 1, "failure": 30, "success": 30}},
        },
    }


def _launching(settings: Settings) -> dict[str, Any]:
    """How long a run waits, which process it gets, and how it writes its events: warm, or as Dagster does by itself."""
    if not settings.warm_runs:
        return {
            "run_coordinator": {
                "module": "dagster._core.run_coordinator",
                "class": "QueuedRunCoordinator",
                "config": {"dequeue_interval_seconds": 1},
            },
            "run_launcher": {"module": "orchestration.run_launcher", "class": "WatchedRunLauncher"},
        }
    dbt = {
        "project_dir": str(DBT_PROJECT_DIR),
        "profiles_dir": str(DBT_PROJECT_DIR),
        "environment": {"TRIPLINE_WAREHOUSE": str(settings.warehouse_path)},
    }
    return {
        "run_coordinator": {"module": "orchestration.warm.coordinator", "class": "PromptRunCoordinator"},
        "run_launcher": {
            "module": "orchestration.warm.launcher",
            "class": "WarmRunLauncher",
            "config": {"watch": [str(PROJECT_DIR / name) for name in LOADED_FOLDERS], "dbt": [dbt]},
        },
        "event_log_storage": {
            "module": "orchestration.warm.event_log",
            "class": "WarmEventLogStorage",
            # Where Dagster's default storage has it, so that turning warm runs on or off loses no history.
            "config": {"base_dir": str(settings.dagster_path / "history" / "runs")},
        },
    }


def write_dagster_home(settings: Settings) -> Path:
    """The folder for DAGSTER_HOME, with a dagster.yaml; a person's own file there is left alone."""
    home = settings.dagster_path
    home.mkdir(parents=True, exist_ok=True)
    path = home / "dagster.yaml"
    if path.exists() and not path.read_text(encoding="utf-8").startswith(MARKER):
        return home
    draft = path.with_suffix(".tmp")
    draft.write_text(MARKER + yaml.safe_dump(dagster_yaml(settings), sort_keys=False), encoding="utf-8")
    draft.replace(path)
    return home


def ready_dagster_home(settings: Settings) -> Path:
    """write_dagster_home's folder, with Dagster's databases in it: of several processes that find none and make them at
    the same moment, all but one end with "table already exists".

    Raises ConfigError where the dagster.yaml names a storage that cannot be opened.
    """
    from dagster import DagsterInstance

    home = write_dagster_home(settings)
    try:
        with DagsterInstance.from_config(str(home)) as instance:
            _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage
    except Exception as error:
        # By its kind only: the words may hold the address of a database, with its password.
        raise ConfigError(
            f"Dagster cannot open the storage that {home / 'dagster.yaml'} names: {type(error).__name__}",
            f"mend it; `DAGSTER_HOME={home} .venv/bin/dagster instance info` says more",
        ) from error
    return home


def dev_command(settings: Settings, host: str = "127.0.0.1", port: int = 3000) -> tuple[list[str], dict[str, str]]:
    """(command, environment) for `dagster dev`; makes Dagster's home ready first. Run it in the project's folder.

    The environment is the caller's: it may hold what the push needs (TRIPLINE_WEBHOOK_URL and the secret). Raises what
    ready_dagster_home raises.
    """
    dagster = Path(sys.executable).with_name("dagster")
    command = [str(dagster), "dev", "-m", "orchestration.definitions", "-h", host, "-p", str(port)]
    environment = {
        **EVENTS_AT_ONCE,
        **os.environ,
        "DAGSTER_HOME": str(ready_dagster_home(settings)),
        **settings.place_variables,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PROJECT_DIR), os.environ.get("PYTHONPATH")])),
    }
    return command, environment
