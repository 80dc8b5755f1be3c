"""`dbt build` by hand on a fresh warehouse, and whether every trigger is tested at its edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestration.settings import PROJECT_DIR
from tests.unit.conftest import failures

pytestmark = pytest.mark.xdist_group("dbt_project")

CASES = (
    "below_the_threshold",
    "at_the_threshold",
    "above_the_threshold",
    "at_the_edge_of_the_window",
    "beyond_the_edge_of_the_window",
    "simultaneous_events",
    "nothing_to_do",
)
TRIGGERS = sorted(path.stem for path in (PROJECT_DIR / "dbt_project/models/triggers").glob("trg_*.sql"))


def test_a_first_build_by_hand_passes_with_all_its_tests(first_build: Any) -> None:
    assert failures(first_build) == []


def test_the_first_build_fires(first_build: Any, shop: Any) -> None:
    """Otherwise the tests of the ledger would look at nothing."""
    [(firings,)] = shop.ask("select count(*) from triggers.trigger_firings")
    assert firings > 0


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("case", CASES)
def test_a_change_of_the_rule_is_noticed_at_every_edge(first_build: Any, trigger: str, case: str) -> None:
    names = {result.node.name for result in first_build.result.results if result.node.resource_type == "unit_test"}
    assert [name for name in names if name.startswith(f"{trigger}__{case}")], f"{trigger} has no unit test {case}…"


def test_a_changed_seed_fails_no_unit_test() -> None:
    """Every unit test of a trigger brings its own thresholds."""
    for path in sorted(Path(PROJECT_DIR / "dbt_project/models/triggers").glob("*__unit_tests.yml")):
        text = path.read_text(encoding="utf-8")
        assert text.count("  - name: trg_") == text.count("    overrides: "), path.name
