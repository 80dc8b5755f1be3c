"""A month of a real shop, through a declared source, in three orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.dbt import build
from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.warehouse import connect

MATCHES = "select * from triggers.trigger_matches order by trigger_name, user_id, matched_at"
VISITS = "select count(*) from behavior.int_visits"

# The store's August, from midnight to midnight in its own zone. Google's own export has as many sessions, and a
# 30-minute gap agrees with every one of their starts.
GOOGLES_VISITS = 73_753


def replay(settings: Settings, batches: list[list[Path]]) -> tuple[list[tuple[object, ...]], int]:
    """All matches, and the visits, after the batches were loaded and built one by one."""
    for files in batches:
        landed = []
        for file in files:
            target = settings.landing_path / file.name
            target.write_bytes(file.read_bytes())
            landed.append(target)
        load_batch(settings.warehouse_path, settings, replay=True, files=landed)
        report = build(settings)
        assert not report.failed_tests
    with connect(settings.warehouse_path) as connection:
        return connection.execute(MATCHES).fetchall(), connection.execute(VISITS).fetchall()[0][0]


@pytest.mark.parametrize("order", ["day_by_day", "backwards"])
def test_a_month_loaded_in_any_order_gives_the_same_matches_as_all_at_once(
    tmp_path: Path, google_files: list[Path], order: str
) -> None:
    at_once = Settings(home=tmp_path / "at_once")
    in_parts = Settings(home=tmp_path / order)
    for settings in (at_once, in_parts):
        settings.landing_path.mkdir(parents=True)
    files = google_files if order == "day_by_day" else google_files[::-1]

    expected, visits_at_once = replay(at_once, [google_files])
    found, visits = replay(in_parts, [[file] for file in files])

    assert visits_at_once == visits == GOOGLES_VISITS
    assert len(found) == len(expected) > 0
    assert found == expected
