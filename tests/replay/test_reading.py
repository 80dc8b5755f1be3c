"""What becomes of a line before any rule sees it: text, numbers, times, names, copies, links, quarantine."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.replay.evaluator import Evaluator, Match, Truth, evaluate
from tests.replay.reading import to_number, to_snake_case, to_time
from tests.replay.streams import to_iso
from tests.replay.telling import LOADED, D, H, M, S, T, key_of, line


def only_match(truth: Truth, trigger: str) -> Match:
    (match,) = [one for one in truth.matches if one.trigger_name == trigger]
    return match


def test_an_anonymous_event_moves_to_the_user_of_the_earliest_link() -> None:
    anonymous = line(1, 0, "product_added", {}, userId=..., anonymousId="d")
    late = line(2, 50 * D, "identify", {}, userId="v", anonymousId="d")
    early = line(3, 40 * D, "identify", {}, userId="u", anonymousId="d")
    evaluator = Evaluator(key_of=key_of)
    evaluator.load(1, [anonymous], LOADED)
    assert only_match(evaluator.truth(), "cart_abandoned").user_id == "anon:d"
    assert only_match(evaluator.truth(), "cart_abandoned").linked_anonymous_ids == ()
    evaluator.load(2, [late], LOADED)
    assert only_match(evaluator.truth(), "cart_abandoned").user_id == "v"
    evaluator.load(3, [early], LOADED)
    match = only_match(evaluator.truth(), "cart_abandoned")
    assert (match.user_id, match.linked_anonymous_ids) == ("u", ("d",))


def test_of_two_links_at_one_instant_the_smaller_id_owns_the_device() -> None:
    lines = [
        line(1, 0, "product_added", {}, userId="null", anonymousId="d"),
        line(2, 5, "x", {}, userId="b", anonymousId="d"),
        line(3, 5, "x", {}, userId="B", anonymousId="d"),
    ]
    assert only_match(evaluate([(lines, LOADED)], key_of=key_of), "cart_abandoned").user_id == "B"


def test_the_copy_received_first_counts_in_whatever_order_they_are_loaded() -> None:
    late = line(1, 0, "product_added", {"price": 300}, receivedAt=to_iso(T + 2 * S))
    early = line(1, 0, "product_added", {"price": 1}, receivedAt=to_iso(T + S))
    never = line(1, 0, "product_added", {"price": 999})
    for batches in ([[late], [early, never]], [[never], [late], [early]], [[early, late, never]]):
        evaluator = Evaluator(key_of=key_of)
        counts = [evaluator.load(number, lines, LOADED) for number, lines in enumerate(batches)]
        assert not [one for one in evaluator.truth().matches if one.trigger_name == "high_value_cart"]
        assert sum(one.loaded for one in counts) - sum(one.superseded for one in counts) == 1
        assert all(one.read == one.loaded + one.duplicate + one.quarantined for one in counts)


def test_events_that_share_only_their_id_are_different_events() -> None:
    lines = [line(1, 0, "product_added", {}, userId=user) for user in ("u", "v")]
    lines.append(line(1, 1, "product_added", {}))
    assert len(Evaluator(key_of=key_of).winners) == 0
    assert len(evaluate([(lines, LOADED)]).owners) == 3


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0),
        ({"originalTimestamp": to_iso(T + 9)}, 0),
        ({"timestamp": ..., "originalTimestamp": to_iso(T + 9)}, 9),
        ({"timestamp": ..., "receivedAt": to_iso(T + 7)}, 7),
        ({"sentAt": to_iso(T + D + 3), "originalTimestamp": to_iso(T + D), "receivedAt": to_iso(T + 10)}, 7),
        ({"sentAt": to_iso(T - 3), "receivedAt": to_iso(T + 10)}, 13),
        ({"sentAt": to_iso(T + 9)}, 0),
        ({"timestamp": to_iso(T + 5 * M), "receivedAt": to_iso(T)}, 5 * M),
        ({"timestamp": to_iso(T + 5 * M + 1), "receivedAt": to_iso(T)}, 0),
        ({"timestamp": "2199-01-01"}, LOADED - T),
    ],
)
def test_event_time_is_corrected_for_wrong_clocks_and_never_in_the_future(
    changes: dict[str, Any], expected: int
) -> None:
    evaluator = Evaluator()
    evaluator.load(1, [line(1, 0, "x", {}, **changes)], LOADED)
    (event,) = evaluator.winners.values()
    assert event.occurred_at - T == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not_json"),
        ('{"a": NaN}', "not_json"),
        ("[]", "not_an_object"),
        (line(" ", 0, "x", {}), "no_message_id"),
        (line(1, 0, "x", {}, userId="undefined"), "no_user"),
        (line(1, 0, "x", {}, userId={"id": 1}), "no_user"),
        (line(1, 0, "x", {}, userId=" anon:1"), "reserved_id"),
        (line(1, 0, "?!", {}), "no_name"),
        (line(1, 0, "x", {}, timestamp="now"), "no_time"),
    ],
)
def test_what_cannot_be_used_is_kept_with_its_reason(text: str, reason: str) -> None:
    evaluator = Evaluator()
    counts = evaluator.load(1, [text], LOADED)
    assert [one.reason for one in evaluator.refused] == [reason]
    assert (counts.read, counts.quarantined) == (1, 1)


def test_user_0_is_a_user_and_numbers_keep_their_spelling() -> None:
    evaluator = Evaluator()
    evaluator.load(1, ['{"messageId":1.50,"userId":0,"event":true,"timestamp":"2024-03-04"}'], LOADED)
    assert [key[:2] for key in evaluator.winners] == [("1.50", "0")]
    assert [event.name for event in evaluator.winners.values()] == ["true"]


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("Product Viewed", "product_viewed"),
        ("productViewed", "product_viewed"),
        ("product-viewed", "product_viewed"),
        ("HTMLViewed", "htmlviewed"),
        ("step2Done", "step2_done"),
        ("--Ünïcode  Wörd!!", "ünïcode_wörd"),
        ("商品 Viewed", "商品_viewed"),
        ("a_B", "a_b"),
    ],
)
def test_event_names_are_snake_case(spelled: str, name: str) -> None:
    assert to_snake_case(spelled) == name


@pytest.mark.parametrize(
    ("spelled", "micros"),
    [
        ("1970-01-02", D),
        ("1970-01-01 00:01", M),
        ("1970-01-01T00:00:01", S),
        ("1970-01-01T00:00:00.1234567Z", 123_456),
        ("1970-01-01T00:00:00.5+01:00", -H + S // 2),
        ("1970-01-01T00:00-0130", 90 * M),
        ("1970-02-30", None),
        ("1970-01-01T25:00", None),
        ("01/01/1970", None),
        ("1970-01-01T00:00:00.Z", None),
        (0, None),
    ],
)
def test_times_are_read_as_the_page_spells_them(spelled: object, micros: int | None) -> None:
    assert to_time(spelled) == micros


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (" 1.5 ", "1.5"),
        ("0.00005", "0.0001"),
        ("-0.00005", "-0.0001"),
        ("1e2", "100"),
        ("1,5", None),
        ("", None),
        (True, None),
        (["1"], None),
        ("99999999999999.9999", "99999999999999.9999"),
        ("100000000000000", None),
    ],
)
def test_numbers_are_decimals_and_the_rest_is_missing(given: object, number: str | None) -> None:
    assert to_number(given) == (None if number is None else Decimal(number))
