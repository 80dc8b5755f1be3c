"""A source that falls silent holds back what waits for an absence, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestration.dbt import build
from orchestration.load import load_batch
from orchestration.publish import publish
from orchestration.settings import Settings
from orchestration.source_states import source_states
from orchestration.sources.declarations import read_declarations
from orchestration.warehouse import connect

DAY = datetime(2026, 11, 20, tzinfo=UTC)
SOURCES = """
name: shop
kind: files
files: shop-*.jsonl
format: jsonl
columns: {messageId: "line->>'$.id'", userId: "line->>'$.user'", type: "'track'", event: "line->>'$.event'",
          timestamp: "line->>'$.at'", properties.product_id: "line->>'$.product'", properties.category: "'tea'"}
---
name: till
kind: files
files: till-*.jsonl
format: jsonl
stalled_after_seconds: 3600
columns: {messageId: "line->>'$.id'", userId: "line->>'$.user'", type: "'track'", event: "line->>'$.event'",
          timestamp: "line->>'$.at'"}
"""


def test_it_holds_absences_back_and_lets_everything_else_fire(tmp_path: Path) -> None:
    settings = Settings.all_in(tmp_path)
    settings.sources_path.mkdir(parents=True)
    (settings.sources_path / "all.yml").write_text(SOURCES)
    put(settings, "till-1.jsonl", event("t1", "cashier", "Signed In", hours=0))
    views = [event(f"v{n}", "ada", "Product Viewed", hours=30 + n / 100, product=f"p{n}") for n in range(3)]
    put(
        settings,
        "shop-1.jsonl",
        event("a1", "ada", "Product Added", hours=1),  # abandoned at 25 h, if the till saw no order until then
        *views,
    )
    settings = settings.model_copy(update={"settle_seconds": 0.0})
    report = load_batch(settings.warehouse_path, settings, replay=True)
    assert {source.source_name: source.events_loaded for source in report.sources} == {"shop": 4, "till": 1}
    build(settings)
    assert decided(settings) == [("ada", "related_product_views", "fired")]
    assert waits(settings) == [("ada", "cart_abandoned")]

    publish(settings)
    now = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=2)
    declared = read_declarations(settings.sources_path)
    states = {state.source_name: state for state in source_states(settings, declared, now)}
    assert [name for name, state in states.items() if state.is_stalled] == ["till"]
    assert [name for name, state in states.items() if state.holds_watermark] == ["till"]

    put(settings, "till-2.jsonl", event("t2", "cashier", "Signed In", hours=30))
    load_batch(settings.warehouse_path, settings, replay=True)
    build(settings)
    assert ("ada", "cart_abandoned", "fired") in decided(settings)


def event(message_id: str, user: str, name: str, *, hours: float, product: str = "p0") -> dict[str, Any]:
    at = (DAY + timedelta(hours=hours)).isoformat()
    return {"id": message_id, "user": user, "event": name, "at": at, "product": product}


def put(settings: Settings, name: str, *events: dict[str, Any]) -> None:
    settings.landing_path.mkdir(parents=True, exist_ok=True)
    (settings.landing_path / name).write_text("".join(json.dumps(one) + "\n" for one in events))


def decided(settings: Settings) -> list[Any]:
    with connect(settings.warehouse_path) as connection:
        return connection.execute(
            "select user_id, trigger_name, decision from triggers.trigger_decisions order by all"
        ).fetchall()


def waits(settings: Settings) -> list[Any]:
    """Timers that ran out by the batch's clock, and are not decided."""
    with connect(settings.warehouse_path) as connection:
        return connection.execute(
            "select user_id, trigger_name from triggers.trigger_matches, batches.int_batch__limits "
            "where is_absence and matched_at <= clock_at"
        ).fetchall()
