"""One micro-batch from the landing folder to the published tables: what cron, the command line and Dagster run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from orchestration.dbt import BuildReport, build
from orchestration.load import BatchReport, load_batch
from orchestration.publish import PublishReport, publish
from orchestration.settings import Settings
from orchestration.warehouse import connect, read_sql

Progress = Callable[[str], None]


class BatchOutcome(BaseModel):
    """What one batch did. `build` and `publish` are None where there was nothing to do."""

    model_config = ConfigDict(frozen=True)

    load: BatchReport
    build: BuildReport | None = None
    publish: PublishReport | None = None
    decided: dict[str, dict[str, int]] = {}  # trigger -> decision or reason -> rows of this batch


def run_batch(
    settings: Settings,
    *,
    replay: bool = False,
    files: list[Path] | None = None,
    full_refresh: bool = False,
    progress: Progress = lambda _: None,
) -> BatchOutcome:
    """Loads what waits (or just `files`), builds, publishes. Raises what its parts raise; the next batch catches up.

    Builds even where nothing was loaded: a changed seed or an unfinished build is caught up with.
    """
    progress("loading")
    loaded = load_batch(settings.warehouse_path, settings, replay=replay, files=files)
    if loaded.batch_id is None and not settings.warehouse_path.exists():
        return BatchOutcome(load=loaded)
    progress("building")
    built = build(settings, full_refresh=full_refresh)
    progress("publishing")
    published = publish(settings)
    return BatchOutcome(load=loaded, build=built, publish=published, decided=decisions_of_last_batch(settings))


def decisions_of_last_batch(settings: Settings) -> dict[str, dict[str, int]]:
    """Rows that the last build added to the ledger, by trigger and by decision or reason."""
    with connect(settings.warehouse_path, wait_seconds=settings.lock_timeout_seconds) as connection:
        rows = connection.execute(read_sql("decisions_of_last_batch")).fetchall()
    decided: dict[str, dict[str, int]] = {}
    for trigger_name, outcome, count in rows:
        decided.setdefault(trigger_name, {})[outcome] = count
    return decided
