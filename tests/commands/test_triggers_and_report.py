"""tripline triggers, the demo's ending, and the words they use."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from orchestration.commands import triggers as command
from orchestration.commands.report import render_report, report
from orchestration.commands.triggers import triggers
from orchestration.commands.words import duration, of_threshold, size
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.commands.conftest import copy_of, held

pytestmark = pytest.mark.xdist_group("commands")


def test_every_trigger_is_listed_with_its_rule_in_words_before_anything_was_loaded(tmp_path: Path) -> None:
    listed = triggers(Settings(home=tmp_path / "home"))
    rules = {trigger.trigger_name: trigger.rule for trigger in listed.triggers}
    assert len(rules) == 9
    assert rules["time_on_page"] == "Longer than 180 s on one product page"
    assert rules["related_product_views"] == "3 distinct products of one category viewed within 10 min"
    assert rules["lapsed_user"] == "No activity for 14 days"
    assert not any("`" in rule for rule in rules.values())
    assert listed.notes == ["nothing is built yet: run `tripline batch`"]
    assert not (tmp_path / "home").exists()


def test_the_counts_of_a_trigger_are_those_of_the_tables(shop: Settings) -> None:
    listed = {trigger.trigger_name: trigger for trigger in triggers(shop).triggers}
    with connect(shop.warehouse_path, read_only=True) as connection:
        decided = connection.execute(
            "select trigger_name, count(*), count(*) filter (where decision = 'fired'), "
            "max(decided_at) filter (where decision = 'fired') from triggers.trigger_decisions group by all"
        ).fetchall()
        counted = connection.execute("select trigger_name, count(*) from triggers.trigger_matches group by all")
        matches = dict(counted.fetchall())
    for name, decisions, fired, last in decided:
        trigger = listed[name]
        assert (trigger.fired, trigger.last_fired_at) == (fired, last)
        assert trigger.fired + sum(trigger.suppressed.values()) == decisions
    assert {name: trigger.matches + trigger.waiting for name, trigger in listed.items()} == matches
    assert listed["lapsed_user"].waiting > 0


def test_listing_triggers_does_not_wait_for_a_batch_that_holds_the_warehouse(shop: Settings, tmp_path: Path) -> None:
    copied = copy_of(shop, tmp_path, "warehouse.duckdb", "published.duckdb")
    with held(copied.warehouse_path):
        listed = triggers(copied)
    assert sum(trigger.fired for trigger in listed.triggers) > 0


def test_a_seed_that_was_changed_since_the_last_build_is_told(shop: Settings, tmp_path: Path) -> None:
    copied = copy_of(shop, tmp_path, "warehouse.duckdb")
    with connect(copied.warehouse_path) as connection:
        connection.execute("update config.trigger_thresholds set value = '250' where parameter = 'min_amount'")
        connection.execute("update config.triggers set campaign = 'other' where trigger_name = 'lapsed_user'")
    assert triggers(copied).notes == [
        "high_value_cart: default.min_amount is 200 in seeds/ and was 250 in the last build; the next batch takes it",
        "lapsed_user: campaign is win_back in seeds/ and was other in the last build; the next batch takes it",
    ]
    assert triggers(shop).notes == []


def test_the_list_for_people_has_what_the_json_has(
    shop: Settings, console: Console, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIPLINE_HOME", str(shop.home))
    command.run(console, as_json=True)
    told = json.loads(capsys.readouterr().out)
    command.run(console, as_json=False)
    text = console.export_text()
    for trigger in told["triggers"]:
        assert trigger["trigger_name"] in text
        assert trigger["rule"] in text
        assert trigger["campaign"] in text


def test_the_ending_tells_who_was_triggered_on_what_evidence_and_what_was_delivered(
    shop: Settings, console: Console
) -> None:
    told = report(shop, received_count=7)
    firings = {(firing.user_id, firing.trigger_name): firing for firing in told.firings}
    capped = firings["capped", "high_value_cart"]
    assert capped.measured == "300.00 of 200.00"
    assert capped.evidence_words == "product_added (c-1) 2025-09-20 17:28:00"
    assert (capped.campaign, capped.delivery_status) == ("high_value_cart", "rejected")
    assert told.delivered + 3 == sum(trigger.fired for trigger in told.triggers)
    render_report(console, shop, received_count=told.delivered)
    text = console.export_text()
    assert f"the campaign platform says it took {told.delivered}: the same" in text
    assert f"TRIPLINE_HOME={shop.home} .venv/bin/tripline explain" in text


def test_a_platform_that_took_another_number_is_not_passed_over(shop: Settings, console: Console) -> None:
    render_report(console, shop, received_count=1)
    assert "the campaign platform says it took 1: NOT the same" in console.export_text()


def test_at_most_three_firings_of_a_trigger_are_shown_and_they_are_the_latest(shop: Settings) -> None:
    told = report(shop)
    with connect(shop.warehouse_path, read_only=True) as connection:
        latest = connection.execute(
            "select matched_at from triggers.trigger_firings where trigger_name = 'related_product_views' "
            "order by matched_at desc, user_id limit 3"
        ).fetchall()
    shown = [firing.matched_at for firing in told.firings if firing.trigger_name == "related_product_views"]
    assert shown == [moment for (moment,) in latest]


def test_a_report_before_anything_ran_is_no_crash(tmp_path: Path, console: Console) -> None:
    render_report(console, Settings(home=tmp_path / "home"))
    assert "0 firings, 0 delivered by the log" in console.export_text()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (121, "121 s"),
        (299, "299 s"),
        (300, "5 min"),
        (3_600, "1 h"),
        (3_661, "1 h 1 min"),
        (86_400, "1 day"),
        (3 * 86_400, "3 days"),
        (90_000, "1 day 1 h"),
        (-300, "-5 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds: int, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("observed", "threshold", "unit", "words"),
    [
        ("2", "3", "products", "2 of 3 products"),
        ("121", "180", "seconds", "121 s of 180 s"),
        ("180.5", "180", "seconds", "180.5 s of 180 s"),
        ("143.2", "200", "currency", "143.20 of 200.00"),
    ],
)
def test_a_value_never_looks_equal_to_a_threshold_that_it_is_not(
    observed: str, threshold: str, unit: str, words: str
) -> None:
    assert of_threshold(Decimal(observed), Decimal(threshold), unit) == words


@pytest.mark.parametrize(("bytes_", "words"), [(0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (4_206_592, "4.2 MB")])
def test_sizes_read_as_people_say_them(bytes_: int, words: str) -> None:
    assert size(bytes_) == words
