"""One micro-batch from the landing folder to the published tables: what cron, the command line and Dagster run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from pydantic import BaseModel, ConfigDict

from orchestration.dbt import BuildReport, build
from orchestration.load import load_batch
from orchestration.load_report import BatchReport
from orchestration.publish import PublishReport, publish
from orchestration.settings import Settings
from orchestration.warehouse import connect, read_sql

Progress = Callable[[str], None]
Decided = dict[str, dict[str, int]]  # trigger -> decision or reason -> rows


class BatchOutcome(BaseModel):
    """What one batch did. `build` and `publish` are None where there was nothing to do. `full_reason` says why all
    matches were computed anew, where they were."""

    model_config = ConfigDict(frozen=True)

    load: BatchReport
    build: BuildReport | None = None
    full_reason: str | None = None
    publish: PublishReport | None = None
    decided: Decided = {}  # rows that this build added to the ledger


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
    # A build without new events adds to the rows of the last batch.
    earlier = _last_build(settings).decided if loaded.batch_id is None else {}
    progress("building")
    built = build(settings, full_refresh=full_refresh)
    progress("publishing")
    published = publish(settings)
    last = _last_build(settings)
    return BatchOutcome(
        load=loaded,
        build=built,
        full_reason=last.full_reason,
        publish=published,
        decided=_added(last.decided, earlier),
    )


@dataclass(frozen=True)
class _Build:
    """The last build: why it computed everything, and the rows of its batch in the ledger."""

    full_reason: str | None = None
    decided: Decided = field(default_factory=dict)


def _last_build(settings: Settings) -> _Build:
    with connect(settings.warehouse_path, wait_seconds=settings.lock_timeout_seconds) as connection:
        try:
            reasons = connection.execute(read_sql("full_reason_of_last_build")).fetchall()
            rows = connection.execute(read_sql("decisions_of_last_batch")).fetchall()
        except duckdb.CatalogException:  # nothing was ever built
            return _Build()
    decided: Decided = {}
    for trigger_name, outcome, count in rows:
        decided.setdefault(trigger_name, {})[outcome] = count
    return _Build(reasons[0][0] if reasons else None, decided)


def _added(now: Decided, earlier: Decided) -> Decided:
    added = {
        trigger_name: {
            outcome: count - earlier.get(trigger_name, {}).get(outcome, 0)
            for outcome, count in outcomes.items()
            if count > earlier.get(trigger_name, {}).get(outcome, 0)
        }
        for trigger_name, outcomes in now.items()
    }
    return {trigger_name: outcomes for trigger_name, outcomes in added.items() if outcomes}
