"""What the doctor asks the templates of warm runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from orchestration.commands.diagnosis import Fallback, Template, WarmRuns
from orchestration.settings import Settings
from orchestration.warm.batch import sockets
from orchestration.warm.history import History
from orchestration.warm.places import is_wanted, read_fallback
from orchestration.warm.wire import Unavailable, call


def warm_runs(settings: Settings) -> WarmRuns:
    """Every template that answers within a second; one that loads at the moment does not."""
    found = [template for path in sockets(settings) if (template := _template(path))]
    noted = read_fallback(settings.dagster_path)
    fallback = None
    if noted:
        fallback = Fallback(at=_utc(noted.at), run_id=noted.run_id, why=noted.reason, count=noted.count)
    return WarmRuns(is_on=is_wanted(settings), templates=found, last_fallback=fallback)


def _template(path: Path) -> Template | None:
    try:
        told = call(path, {"op": "about"}, seconds=1.0)
    except Unavailable:
        return None
    history = History(**told["history"])
    return Template(
        pid=told["pid"],
        location=told["location"],
        age_seconds=max(0.0, time.time() - history.started_at),
        memory_bytes=told["memory_bytes"],
        runs=history.runs,
        dbt_commands=history.dbt_commands,
        running=told["running"],
        reloads=history.reloads,
        last_reload_at=_utc(history.last_reload_at) if history.last_reload_at else None,
        last_reload_why=history.last_reload_why,
        last_refusal_at=_utc(history.last_refusal_at) if history.last_refusal_at else None,
        last_refusal_why=history.last_refusal_why,
    )


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
