"""How much memory a build may take."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.conftest import WITHOUT_UNIT_TESTS, Warehouse, failures, make_warehouse

LIMITS_ONLY = ("--select", "int_batch__limits", "resource_type:seed", *WITHOUT_UNIT_TESTS)


@pytest.fixture(autouse=True)
def statements_are_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_LOG_LEVEL_FILE", "debug")


def is_bound(warehouse: Warehouse, *options: str) -> bool:
    """Whether a build gave DuckDB less memory than it takes by itself."""
    log = warehouse.settings.home / "logs" / "dbt.log"
    log.unlink(missing_ok=True)
    assert failures(warehouse.build(*options)) == []
    return "set memory_limit" in log.read_text(encoding="utf-8")


def test_a_micro_batch_is_bound_but_not_what_computes_much_nor_what_follows_a_failure(tmp_path: Path) -> None:
    warehouse = make_warehouse(tmp_path, events=400, files=2)
    warehouse.load_next()
    assert not is_bound(warehouse, *WITHOUT_UNIT_TESTS), "the first build reads everything"
    warehouse.load_next()
    assert is_bound(warehouse, *LIMITS_ONLY)
    # That build was not whole, like one that ran out of memory: the next one has all there is.
    assert not is_bound(warehouse, *LIMITS_ONLY)


@pytest.mark.parametrize("variable", ["{micro_batch_events: 1}", "{micro_batch_mib_per_thread: 10000000}"])
def test_catching_up_on_many_events_is_not_bound_and_no_limit_is_raised(tmp_path: Path, variable: str) -> None:
    warehouse = make_warehouse(tmp_path, events=400, files=2)
    warehouse.load_next()
    assert failures(warehouse.build(*WITHOUT_UNIT_TESTS)) == []
    warehouse.load_next()
    assert not is_bound(warehouse, *LIMITS_ONLY, "--vars", variable)
