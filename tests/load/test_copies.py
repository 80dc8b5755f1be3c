"""Copies, clocks and accounts: semantics, sections 1, 5 and 6, on the tables."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.load.conftest import CLOCK, Shop, event

WINNERS = """
    select event_key, event_seq from raw.events
    where not is_duplicate and event_seq not in (select event_seq from raw.superseded_events)
    order by event_key
"""
BEST = """
    select event_key, event_seq from raw.events
    qualify row_number() over (partition by event_key order by received_at nulls last, event_text, event_seq) = 1
    order by event_key
"""


def assert_accounts(shop: Shop) -> None:
    assert shop.rows(WINNERS) == shop.rows(BEST)
    unbalanced = (
        "select * from raw.load_batches where events_read <> events_loaded + events_duplicate + events_quarantined"
    )
    assert shop.rows(unbalanced) == []
    assert shop.one("select sum(events_loaded) - sum(events_superseded) from raw.load_batches") == len(
        shop.rows(WINNERS)
    )
    counted = """
        select batch_id, source_name, count(*) filter (not is_duplicate), count(*) filter (is_duplicate)
        from raw.events group by all order by all
    """
    stated = """
        select batch_id, source_name, events_loaded, events_duplicate from raw.load_batches
        where events_loaded + events_duplicate > 0 order by all
    """
    assert shop.rows(counted) == shop.rows(stated)
    assert shop.one("select count(*) from raw.quarantined_events") == shop.one(
        "select coalesce(sum(events_quarantined), 0) from raw.load_batches"
    )
    assert shop.one("select count(*) = max(event_seq) from raw.events")


def test_the_copy_received_first_counts_and_takes_over_when_it_comes_late(shop: Shop) -> None:
    shop.drop("a.jsonl", [event("m", receivedAt="2024-05-03"), event("m")])
    first = shop.load()
    shop.drop("b.jsonl", [event("m", receivedAt="2024-05-04"), event("m", receivedAt="2024-05-02")])
    second = shop.load()
    assert (first.events_loaded, first.events_duplicate, first.events_superseded) == (1, 1, 0)
    assert (second.events_loaded, second.events_duplicate, second.events_superseded) == (1, 1, 1)
    assert shop.rows("select event_seq, batch_id, known_user_id, occurred_at from raw.superseded_events") == [
        (1, 2, "u1", datetime(2024, 5, 1, 10))
    ]
    assert_accounts(shop)


def test_among_copies_received_together_the_smallest_text_counts(shop: Shop) -> None:
    for name, text in (("a", "z"), ("b", "a"), ("c", "b"), ("d", "Z")):
        shop.drop(f"{name}.jsonl", [event("m", receivedAt="2024-05-02", zz=text)])
        shop.load()
        assert_accounts(shop)
    assert shop.one("select count(*) from raw.superseded_events") == 2


def test_a_copy_equal_in_every_respect_changes_nothing(shop: Shop) -> None:
    shop.drop("a.jsonl", [event("m")] * 3)
    shop.load()
    shop.drop("b.jsonl", [event("m"), event("other")])
    assert (shop.load().events_duplicate, shop.one("select count(*) from raw.superseded_events")) == (1, 0)
    assert_accounts(shop)


@pytest.mark.parametrize("seed", range(4))
def test_one_copy_of_each_message_counts_after_every_batch_however_far_apart(shop: Shop, seed: int) -> None:
    chance = random.Random(seed)

    def anything() -> dict[str, Any]:
        received = chance.choice([None, None, "2024-05-02", "2024-05-03"])
        stamp = chance.choice([None, "2019-01-01", "2024-05-01", "2024-05-02", "2024-06-01", "2099-01-01"])
        fields = {"timestamp": stamp, "userId": chance.choice(["u1", "u2"]), "x": chance.randint(0, 3)}
        return event(f"m{chance.randint(0, 12)}", **fields, receivedAt=received or (None if stamp else "2024-05-04"))

    for batch in range(6):
        shop.drop(f"{batch}.jsonl", [anything() for _ in range(chance.randint(1, 60))] + [{"bad": batch}])
        shop.load()
        assert_accounts(shop)


def test_every_row_is_loaded_at_the_batchs_clock_which_never_goes_back(shop: Shop) -> None:
    for name, clock in (("a", CLOCK), ("b", CLOCK - timedelta(days=9)), ("c", CLOCK + timedelta(hours=1))):
        shop.drop(f"{name}.jsonl", [event(name), {"bad": name}])
        shop.load(clock=clock)
    expected = [(1, CLOCK), (2, CLOCK), (3, CLOCK + timedelta(hours=1))]
    for table, column in (("events", "loaded_at"), ("quarantined_events", "loaded_at"), ("load_batches", "clock_at")):
        assert shop.rows(f"select batch_id, {column} from raw.{table} order by 1") == expected


def test_a_replays_clock_is_the_time_its_data_is_complete_to(shop: Shop) -> None:
    shop.drop("a.jsonl", "")
    assert shop.load(replay=True).clock_at == datetime(1970, 1, 1)
    shop.drop("b.jsonl", [event("a", receivedAt="2024-05-02"), event("b", timestamp="2024-05-01T23:00:00")])
    assert shop.load(replay=True).clock_at == datetime(2024, 5, 2)
    shop.drop("c.jsonl", [event("c", timestamp="2024-05-03")])
    assert shop.load(replay=True).clock_at == datetime(2024, 5, 3)
    shop.drop("d.jsonl", [event("d", timestamp="2020-01-01")])
    assert shop.load(replay=True).clock_at == datetime(2024, 5, 3)


def test_completeness_is_stated_by_source_and_never_beyond_a_live_clock(shop: Shop) -> None:
    through = "select complete_through from raw.load_batches order by batch_id desc limit 1"
    shop.drop("a.jsonl", [event("a", timestamp="2024-05-09"), event("b", receivedAt="2024-05-02")])
    shop.load()
    assert shop.one(through) == datetime(2024, 5, 2)
    shop.drop("b.jsonl", [event("c", timestamp="2024-05-01")])
    shop.load()
    assert shop.one(through) == datetime(2024, 5, 2)
    shop.drop("c.jsonl", [event("d", receivedAt="2031-01-01")])
    shop.load()
    assert shop.one(through) == CLOCK


def test_what_is_declared_is_recorded_with_each_batch(shop: Shop) -> None:
    shop.drop("a.jsonl", [event("m")])
    shop.load()
    assert shop.rows("select * from raw.sources order by 1") == [
        ("google_merch_store", False), ("otto", False), ("segment", False), ("site", False),
    ]  # fmt: skip
