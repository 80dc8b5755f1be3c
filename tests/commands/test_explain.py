"""tripline explain."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from orchestration.commands.explain import explain
from orchestration.commands.explain_view import render
from orchestration.commands.explanation import Explanation, MatchStory, TriggerStory
from orchestration.commands.near_miss import measure
from orchestration.commands.tables import Tables, open_tables
from orchestration.errors import ConfigError, TriplineError
from orchestration.settings import Settings
from orchestration.warehouse import connect
from tests.commands.conftest import copy_of, held

pytestmark = pytest.mark.xdist_group("commands")
SEEDED = 9  # triggers


def story(explanation: Explanation, trigger: str) -> TriggerStory:
    (found,) = [told for told in explanation.triggers if told.trigger_name == trigger]
    return found


def match(explanation: Explanation, trigger: str, time: str) -> MatchStory:
    (found,) = [told for told in story(explanation, trigger).matches if f"{told.matched_at:%H:%M:%S}" == time]
    return found


NEAR = {
    "time_on_page": "longest stay on a product page: 121 s of 180 s (n-2, 2025-09-20T10:03:00Z)",
    "related_product_views": "most products of one category within 10 min: 2 of 3 (shoes, 2025-09-20T10:03:00Z)",
    "frequent_visits": "most visits on one day: 3 of 4 (2025-09-20)",
    "frequent_sign_ins": "most sign-ins on one day: 1 of 4 (2025-09-20)",
    "cart_abandoned": "last product added 2025-09-20T14:00:00Z (n-1), ordered 20 min later, within 1 day",
    "checkout_abandoned": "last checkout started 2025-09-20T14:05:00Z, ordered 15 min later, within 1 h",
    "engaged_with_product": "none of the products viewed",
    "high_value_cart": "biggest cart within 1 h: 143.20 of 200.00 (2025-09-20T14:00:00Z)",
}


def test_every_trigger_that_did_not_match_says_how_far_off_the_user_was(shop: Settings) -> None:
    explanation = explain(shop, "near")
    words = {told.trigger_name: told.near_miss.words for told in explanation.triggers if told.near_miss}
    assert words == NEAR
    assert len(explanation.triggers) == SEEDED
    waiting = story(explanation, "lapsed_user")
    assert waiting.status == "waiting"
    assert waiting.matches[0].why.startswith("waits until 2025-10-04T18:00:00Z; the data is complete through")


def test_what_is_measured_agrees_with_the_matches_for_every_user_of_the_shop(shop: Settings) -> None:
    with open_tables(shop, prefer="warehouse") as tables:
        users = read_events_of_everybody(tables)
        matches = {
            (trigger, user): times
            for trigger, user, times in tables.connection.execute(
                "select trigger_name, user_id, list(matched_at) from triggers.trigger_matches group by all"
            ).fetchall()
        }
        thresholds: dict[str, dict[str, str]] = {}
        for row in tables.rows("triggers_thresholds"):
            thresholds.setdefault(row["trigger_name"], {})[row["parameter"]] = row["value"]
        disagreed = []
        for trigger, numbers in thresholds.items():
            rows = {row["user_id"]: row for row in measure(tables, trigger, numbers)}
            for user in users:
                times = matches.get((trigger, user), [])
                if not agree(rows.get(user), numbers, times):
                    disagreed.append((trigger, user, rows.get(user), times))
    assert disagreed == []
    assert len(users) > 50 and len(thresholds) == SEEDED


def read_events_of_everybody(tables: Tables) -> list[str]:
    """`user_events` of all users at once; returns who they are."""
    links = dict(tables.connection.execute(
        "select anonymous_id, arg_max(coalesce(known_user_id, ''), batch_id) from batches.int_identity_log group by 1"
    ).fetchall())  # fmt: skip
    users = [user for (user,) in tables.connection.execute("select user_id from behavior.int_user_behavior").fetchall()]
    for place, user in enumerate(users):
        known = None if user.startswith("anon:") else user
        devices = [device for device, owner in links.items() if owner == user] if known else [user[len("anon:") :]]
        tables.rows("explain_events", user_id=user, known_user_id=known, devices=devices, upto_batch_id=2, zone="UTC")
        start = "insert into everybody" if place else "create temp table everybody as"
        tables.connection.execute(f"{start} from user_events")
    tables.connection.execute("create or replace temp table user_events as from everybody")
    return users


def agree(row: dict[str, Any] | None, numbers: dict[str, str], matches: list[datetime]) -> bool:
    """Whether the row that explains a near miss would be a match exactly where there is one."""
    if row is None:
        return not matches
    minimum = next((value for name, value in numbers.items() if name.startswith("min_")), None)
    longer_than = numbers.get("dwell_seconds") or numbers.get("visit_seconds")
    if minimum:
        return bool(row["observed_value"] >= int(minimum)) == bool(matches)
    if longer_than:
        return bool(row["observed_value"] > int(longer_than)) == bool(matches)
    wait = int(numbers["wait_seconds"])
    is_ended = row.get("ended_at") is not None and row["observed_value"] <= wait
    is_unended = not is_ended and row.get("is_sequence", True)
    return is_unended == (row["at"] + timedelta(seconds=wait) in matches)


def test_a_cooldown_names_the_firing_that_it_counts_from(shop: Settings) -> None:
    explanation = explain(shop, "capped", "related_product_views")
    assert match(explanation, "related_product_views", "17:22:00").decision == "fired"
    later = match(explanation, "related_product_views", "18:22:00")
    assert later.why == "cooldown: fired 2025-09-20T17:22:00Z, less than 1 day away"


def test_a_frequency_cap_names_the_firings_that_filled_it(shop: Settings) -> None:
    capped = match(explain(shop, "capped"), "frequent_sign_ins", "17:33:00")
    assert capped.decision == "suppressed"
    assert capped.why == (
        "frequency_cap: 3 firings within 1 day already (related_product_views 2025-09-20T17:22:00Z, "
        "time_on_page 2025-09-20T17:27:00Z, high_value_cart 2025-09-20T17:28:00Z)"
    )


def test_refused_consent_is_told_with_its_time(shop: Settings) -> None:
    refused = match(explain(shop, "refuser"), "related_product_views", "17:22:00")
    assert refused.why == "no_consent: refused consent for marketing on 2025-09-20T17:20:00Z"


def test_a_delivery_shows_what_the_platform_answered(shop: Settings) -> None:
    rejected = match(explain(shop, "capped"), "high_value_cart", "17:28:00")
    assert rejected.delivery_status == "rejected"
    assert [step.status for step in rejected.deliveries] == ["claimed", "rejected"]
    assert "no contact of that name" in (rejected.deliveries[-1].answer or "")
    assert rejected.why == "fired for campaign high_value_cart; rejected for good by webhook"
    delivered = match(explain(shop, "linked"), "related_product_views", "17:32:00")
    assert delivered.delivery_status == "delivered"
    assert delivered.deliveries[-1].http_status == 200


def test_the_evidence_is_the_events_themselves_with_their_batch(shop: Settings) -> None:
    told = match(explain(shop, "capped"), "high_value_cart", "17:28:00")
    (add,) = told.evidence
    assert (add.event_name, add.product_id, add.price, add.batch_id) == ("product_added", "c-1", 300, 2)
    assert told.measured == "300.00 of 200.00"


@pytest.mark.parametrize("asked", ["dev-1", "anon:dev-1"])
def test_a_device_is_explained_as_the_user_it_belongs_to_now(shop: Settings, asked: str) -> None:
    explanation = explain(shop, asked)
    assert explanation.identity.user_id == "linked"
    assert explanation.identity.words == "device dev-1 belongs to user linked, by an event of 2025-09-20T17:33:00Z"
    assert match(explanation, "related_product_views", "17:32:00").decision == "fired"


def test_a_user_is_shown_with_the_devices_that_are_theirs(shop: Settings) -> None:
    explanation = explain(shop, "linked")
    assert [device.anonymous_id for device in explanation.identity.devices] == ["dev-1"]
    assert explanation.activity and explanation.activity.events == 4


def test_a_device_of_nobody_is_explained_as_anonymous(shop: Settings) -> None:
    explanation = explain(shop, "dev-2")
    assert explanation.identity.user_id == "anon:dev-2"
    assert explanation.identity.words == "device dev-2, not linked to a user"
    told = match(explanation, "related_product_views", "17:32:00")
    assert told.why == "anonymous: known only by a device, and campaigns need a user"


def test_an_unknown_user_is_refused_with_ids_that_look_alike_and_exit_code_1(shop: Settings) -> None:
    with pytest.raises(TriplineError, match=r"no user and no device is called 'Linkd'") as caught:
        explain(shop, "Linkd")
    assert caught.value.hint.startswith("did you mean linked")
    assert caught.value.exit_code == 1


def test_an_unknown_trigger_is_refused_with_the_names_there_are(shop: Settings) -> None:
    with pytest.raises(ConfigError, match="there is no trigger 'cart'") as caught:
        explain(shop, "near", "cart")
    assert "cart_abandoned" in caught.value.hint


def test_one_trigger_can_be_asked_for_alone(shop: Settings) -> None:
    assert [told.trigger_name for told in explain(shop, "near", "cart_abandoned").triggers] == ["cart_abandoned"]


def test_before_anything_was_loaded_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TriplineError, match="there is no warehouse yet") as caught:
        explain(Settings(home=tmp_path), "near")
    assert "tripline batch" in caught.value.hint


def test_while_a_batch_holds_the_warehouse_all_but_the_events_is_told(shop: Settings, tmp_path: Path) -> None:
    copied = copy_of(shop, tmp_path, "warehouse.duckdb", "published.duckdb")
    with held(copied.warehouse_path) as pid:
        explanation = explain(copied, "capped")
        device = explain(copied, "dev-1")
        refuser = explain(copied, "refuser")
    assert f"held by process {pid}" in explanation.notes[0]
    assert explanation.read_from == "published"
    assert explanation.activity is None
    told = match(explanation, "high_value_cart", "17:28:00")
    assert told.decision == "fired"
    assert [seen.is_loaded for seen in told.evidence] == [False]
    assert story(explanation, "cart_abandoned").status == "waiting"
    assert story(explanation, "frequent_visits").status == "unknown"
    assert device.identity.words == "device dev-1 belongs to user linked, by an event of 2025-09-20T17:33:00Z"
    assert [owned.anonymous_id for owned in device.identity.devices] == ["dev-1"]
    refused = match(refuser, "related_product_views", "17:22:00")
    assert refused.why == "no_consent: refused consent for marketing on 2025-09-20T17:20:00Z"


def test_a_held_warehouse_without_a_published_database_is_said_plainly(shop: Settings, tmp_path: Path) -> None:
    copied = copy_of(shop, tmp_path, "warehouse.duckdb")
    with held(copied.warehouse_path), pytest.raises(TriplineError, match="held by another process"):
        explain(copied, "near")


def test_explaining_leaves_the_warehouse_free_for_the_next_batch(shop: Settings, tmp_path: Path) -> None:
    copied = copy_of(shop, tmp_path, "warehouse.duckdb", "published.duckdb")
    explain(copied, "near")
    with held(copied.warehouse_path):
        pass


def test_a_fired_match_that_is_gone_is_told_as_no_longer_true(shop: Settings, tmp_path: Path) -> None:
    copied = copy_of(shop, tmp_path, "warehouse.duckdb")
    with connect(copied.warehouse_path) as connection:
        connection.execute("delete from triggers.trigger_matches where user_id = 'linked'")
    told = match(explain(copied, "linked"), "related_product_views", "17:32:00")
    assert not told.is_present
    assert "no longer true of the data as now known" in told.why


def test_json_is_one_object_whose_times_say_utc(shop: Settings) -> None:
    told = json.loads(explain(shop, "linked").model_dump_json())
    (related,) = [row for row in told["triggers"] if row["trigger_name"] == "related_product_views"]
    assert related["matches"][0]["matched_at"] == "2025-09-20T17:32:00Z"
    assert related["matches"][0]["observed_value"] == 3.0


def test_the_page_for_people_holds_no_colours_where_there_is_no_terminal(shop: Settings, console: Console) -> None:
    render(explain(shop, "capped"), console)
    text = console.export_text()
    assert "\x1b[" not in text
    for words in ("high_value_cart  fired", "rejected for good", "did not match", "frequency_cap: 3", "batch 2"):
        assert words in text


def test_ids_with_square_brackets_are_printed_as_they_are(shop: Settings, console: Console) -> None:
    explanation = explain(shop, "near")
    odd = explanation.identity.model_copy(update={"words": "user [red]x[/red]"})
    render(explanation.model_copy(update={"identity": odd}), console)
    assert "user [red]x[/red]" in console.export_text()


def test_evidence_that_went_to_another_user_is_still_shown(shop: Settings, tmp_path: Path) -> None:
    copied = copy_of(shop, tmp_path, "warehouse.duckdb")
    with connect(copied.warehouse_path) as connection:
        connection.execute("update batches.int_identity_log set known_user_id = 'near' where anonymous_id = 'dev-1'")
    told = match(explain(copied, "linked"), "related_product_views", "17:32:00")
    assert [seen.product_id for seen in told.evidence] == ["l-1", "l-2", "l-3"]
    assert explain(copied, "dev-1").identity.user_id == "near"
