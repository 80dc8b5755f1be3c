"""The contracts of the tables people query, and the ledger, which nothing may rewrite."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.conftest import WITHOUT_UNIT_TESTS, Warehouse, failures

pytestmark = pytest.mark.xdist_group("dbt_project")

LEDGER = "select * from triggers.trigger_decisions order by decision_id"
MATCHES = "select * from triggers.trigger_matches order by trigger_name, user_id, matched_at"
COLUMNS = """
    select column_name, data_type
    from information_schema.columns
    where table_schema = 'triggers' and table_name = 'trigger_decisions'
    order by ordinal_position
"""


@pytest.fixture(scope="module")
def ledger(first_build: Any, shop: Warehouse) -> Warehouse:
    assert failures(first_build) == []
    return shop


def test_a_second_build_without_news_decides_nothing_again(ledger: Warehouse) -> None:
    before = ledger.ask(LEDGER)
    assert failures(ledger.build(*WITHOUT_UNIT_TESTS)) == []
    assert ledger.ask(LEDGER) == before


def test_a_batch_only_adds_to_the_ledger(ledger: Warehouse) -> None:
    before = ledger.ask(LEDGER)
    ledger.load_next()
    assert failures(ledger.build(*WITHOUT_UNIT_TESTS)) == []
    known = {row[0] for row in before}
    after = ledger.ask(LEDGER)
    assert len(after) > len(before)
    assert [row for row in after if row[0] in known] == before


def test_a_full_refresh_computes_matches_anew_and_leaves_the_ledger_alone(ledger: Warehouse) -> None:
    rows, columns, matches = ledger.ask(LEDGER), ledger.ask(COLUMNS), ledger.ask(MATCHES)
    assert rows and matches
    assert failures(ledger.build(*WITHOUT_UNIT_TESTS, "--full-refresh")) == []
    assert ledger.ask("select full_reason from batches.int_batch__limits") == [("a full refresh was asked for",)]
    assert ledger.ask(MATCHES) == matches
    assert ledger.ask(LEDGER) == rows
    assert ledger.ask(COLUMNS) == columns


def test_a_column_of_a_later_release_is_added_and_old_decisions_stay(ledger: Warehouse) -> None:
    """The ledger as an earlier release left it: one column less."""
    rows = ledger.ask("select decision_id, decision, reason from triggers.trigger_decisions order by decision_id")
    dependents = ("trigger_firings", "campaign_outbox")
    for view in dependents:
        ledger.ask(f"drop view triggers.{view}")
    ledger.ask("alter table triggers.trigger_decisions drop column max_age_seconds")
    ledger.load_next()
    assert failures(ledger.build(*WITHOUT_UNIT_TESTS)) == []
    assert ("max_age_seconds", "BIGINT") in ledger.ask(COLUMNS)
    kept = ledger.ask(
        "select decision_id, decision, reason from triggers.trigger_decisions "
        "where max_age_seconds is null order by decision_id"
    )
    assert kept == rows


def test_a_flag_is_up_or_down_and_never_unknown(ledger: Warehouse) -> None:
    [(flags, unknown)] = ledger.ask(
        "select count(*), count(*) filter (where is_flagged is null or flagged_since is null) "
        "from triggers.user_trigger_flags"
    )
    assert flags > 0
    assert unknown == 0
