"""The outbox as its models define it: what is in it, for how long, and what is sent."""

from __future__ import annotations

import json

from tests.push.conftest import Shop, model_sql

WAITING = "select user_id, destination from triggers.campaign_outbox order by user_id, destination"


def log(shop: Shop, user: str, status: str) -> None:
    shop.run(f"""
        insert into triggers.campaign_deliveries by name
        select
            (select coalesce(max(delivery_seq), 0) + 1 from triggers.campaign_deliveries) as delivery_seq,
            idempotency_key, decision_id, destination, campaign, trigger_name, user_id,
            '{status}' as status, 1 as attempt, 'p' as push_id, now() as recorded_at
        from triggers.campaign_queue where user_id = '{user}'
    """)


def next_batch(shop: Shop) -> None:
    shop.run("update triggers.int_batch__limits set upto_batch_id = upto_batch_id + 1")
    build(shop)


def build(shop: Shop) -> None:
    shop.run(f"create or replace table triggers.campaign_queue as {model_sql('campaign_queue')}")


def queued(shop: Shop) -> list[str]:
    rows = shop.run("select user_id from triggers.campaign_queue where decision_id is not null order by user_id")
    return [user for (user,) in rows]


def test_the_payload_names_what_is_known_and_no_property_that_is_not(shop: Shop) -> None:
    shop.fire(2)
    shop.run(
        "insert into triggers.user_profiles by name "
        "select 'u1' as user_id, 'a@b' as email, json_object('crm', '7') as external_ids"
    )
    shop.run("""
        insert into triggers.firing_products
        select decision_id, 'p1', 'shoes', '[{"product_id":"p1","category":"shoes"}]'
        from triggers.trigger_decisions where user_id = 'u1'
    """)
    nothing, known = (
        json.loads(payload) for (payload,) in shop.run("select payload from triggers.campaign_outbox order by user_id")
    )
    measured = {
        "observed_value": 86400.0,
        "threshold_value": 86400.0,
        "window_started_at": "2026-10-31T10:00:00.000000Z",
    }
    product = {"product_id": "p1", "category": "shoes"}
    assert known == {
        "user_id": "u1", "email": "a@b", "phone": None, "external_ids": {"crm": "7"},
        "trigger": "cart_abandoned", "campaign": "come_back", "variant": "control",
        "matched_at": "2026-11-01T10:01:00.000000Z", "decided_at": "2026-11-01T10:02:00.000000Z",
        "properties": {**measured, **product, "products": [product]},
        "evidence": {"event_keys": ["c4ca4238a0b923820dcc509a6f75849b"], **measured},
    }  # fmt: skip
    assert (nothing["email"], nothing["external_ids"], nothing["properties"]) == (None, {}, measured)


def test_a_destination_that_a_campaign_gets_later_is_sent_no_old_firings(shop: Shop) -> None:
    shop.fire(1)
    shop.add_campaign("come_back", "mail")
    next_batch(shop)
    assert shop.run(WAITING) == [("u0", "webhook")]
    shop.fire(1, first=1)
    assert shop.run(WAITING) == [("u0", "webhook")]  # its batch is over
    shop.run("update triggers.trigger_decisions set batch_id = 2 where user_id = 'u1'")
    build(shop)
    assert shop.run(WAITING) == [("u0", "webhook"), ("u1", "mail"), ("u1", "webhook")]


def test_what_was_sent_never_comes_back_however_often_the_batch_is_built(shop: Shop) -> None:
    shop.fire(2)
    log(shop, "u0", "delivered")
    for _ in range(2):
        build(shop)
        assert shop.run(WAITING) == [("u1", "webhook")]
    next_batch(shop)
    assert shop.run(WAITING) == [("u1", "webhook")]
    next_batch(shop)
    assert queued(shop) == ["u1"], "the queue grows with what was sent"
    build(shop)
    assert shop.run(WAITING) == [("u1", "webhook")]


def test_what_a_push_does_while_a_batch_is_built_is_not_lost(shop: Shop) -> None:
    """The queue's mark is the log as it stood when the queue was made."""
    shop.fire(3)
    next_batch(shop)
    log(shop, "u0", "delivered")
    log(shop, "u1", "failed")
    assert shop.run(WAITING) == [("u1", "webhook"), ("u2", "webhook")]
    next_batch(shop)
    log(shop, "u1", "delivered")
    assert shop.run(WAITING) == [("u2", "webhook")]


def test_a_person_can_open_a_refused_firing_again_weeks_later(shop: Shop) -> None:
    shop.fire(1)
    log(shop, "u0", "rejected")
    for _ in range(3):
        next_batch(shop)
        assert shop.run(WAITING) == []
    log(shop, "u0", "failed")
    assert shop.run(WAITING) == [("u0", "webhook")]


def test_of_a_queue_that_was_lost_only_what_is_fresh_or_was_tried_comes_back(shop: Shop) -> None:
    """u0 was sent, u1 was tried, u2 and u3 never; the greatest age of the trigger is a day, and u3 is just that old."""
    shop.fire(4)
    log(shop, "u0", "delivered")
    log(shop, "u1", "failed")
    shop.run("update triggers.int_batch__limits set clock_at = timestamp '2026-11-02 10:04:00'")
    without = model_sql("campaign_queue", queue=None)
    shop.run(f"create or replace table triggers.campaign_queue as {without}")
    assert shop.run(WAITING) == [("u1", "webhook"), ("u3", "webhook")]


def test_the_order_of_the_outbox_is_the_order_of_firing_over_all_batches(shop: Shop) -> None:
    shop.fire(3)
    log(shop, "u2", "delivered")
    for _ in range(2):
        next_batch(shop)
    shop.fire(2, first=10)
    shop.run("update triggers.trigger_decisions set batch_id = 3 where user_id in ('u10', 'u11')")
    build(shop)
    rows = shop.run("select user_id, outbox_seq from triggers.campaign_backlog order by outbox_seq")
    assert rows == [("u0", 1), ("u1", 2), ("u10", 4), ("u11", 5)]
