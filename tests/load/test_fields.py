"""What a field of an event becomes: semantics, section 1, text, numbers, times, names, reasons."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.load.conftest import Shop, event

TEXTS: list[Any] = [
        ("1.10", "1.10"), ("1e3", "1e3"), ("-0", "-0"), ("0", "0"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("1E+05", "1E+05"), ("true", "true"), ("false", "false"), ("null", None), ("{}", None), ("[1]", None),
        ('"  x  "', "x"), ('"\\u00a0x\\t"', "x"), ('""', None), ('"  "', None), ('"null"', "null"),
        ('"a\\"b\\\\c\\u00e9"', 'a"b\\cé'), ('"x 1.10 y"', "x 1.10 y"), ('"\\u0000"', "\0"),
    ]  # fmt: skip
PRICES: list[Any] = [
        ("19.99", "19.9900"), ("1.00005", "1.0001"), ("-1.00005", "-1.0001"), ("1.00004999999999999999999", "1.0000"),
        ('"1e3"', "1000.0000"), ('" 5 "', "5.0000"), ('"+5"', "5.0000"), ('".5"', "0.5000"), ("1.5e-4", "0.0002"),
        ("123456789012345678901234567890e-20", "1234567890.1235"), ("99999999999999.9999", "99999999999999.9999"),
        ("99999999999999.99995", None), ("1e400", None), ("1e-400", "0.0000"), ('"1_000"', None), ('"0x10"', None),
        ('"1,5"', None), ('"five"', None), ("true", None), ("[5]", None), ("null", None), ('"NaN"', None),
        ('"1e"', None),
    ]  # fmt: skip
TIMES: list[Any] = [
        ("2024-05-01", datetime(2024, 5, 1)),
        ("2024-05-01Z", datetime(2024, 5, 1)),
        ("2024-05-01 10:30", datetime(2024, 5, 1, 10, 30)),
        ("2024-05-01T10:30:15.1234569Z", datetime(2024, 5, 1, 10, 30, 15, 123456)),
        ("2024-05-01T10:30:15.5+0530", datetime(2024, 5, 1, 5, 0, 15, 500000)),
        ("2024-05-01T10:30-02:00", datetime(2024, 5, 1, 12, 30)),
        ("2024-02-29T23:59:59Z", datetime(2024, 2, 29, 23, 59, 59)),
    ]  # fmt: skip
NO_TIMES: list[Any] = [
     "2023-02-29", "2024-05-01T24:00:00Z", "2024-05-01T10:00:60Z", "2024-5-1", "2024-05-01T10", "20240501",
     "2024-05-01t10:00z", "2024-05-01T10:00:00.Z", "2024-05-01 10:00 Z", "2024-05-01T10:00+25:00", 1714557600000, "",
     "0000-01-01", "yesterday", "2024-05-01\n", " 2024-05-01"]  # fmt: skip
NAMES: list[Any] = [
        ("Product Viewed", "product_viewed"), ("productViewed", "product_viewed"), ("product-viewed", "product_viewed"),
        ("HTMLViewed", "htmlviewed"), ("  Sign   in! ", "sign_in"), ("level2Up", "level2_up"), ("Ünï Çödé", "ünï_çödé"),
        ("商品 表示", "商品_表示"), ("_x_", "x"), (42, "42"),
    ]  # fmt: skip
CALLS: list[Any] = [
    ("page", "page_viewed"), ("identify", "identify"), ("screen", "screen"), ("alias", "alias"),
]  # fmt: skip
REASONS: list[Any] = [
        ('{"a":', "not_json"), ("nonsense", "not_json"), ('{"a":1,}', "not_json"), ('{"a":NaN}', "not_json"),
        ('{"a":-Infinity}', "not_json"), ("[1]", "not_an_object"), ('"x"', "not_an_object"), ("null", "not_an_object"),
        (json.dumps(event("")), "no_message_id"), (json.dumps(event("m", userId="undefined")), "no_user"),
        (json.dumps(event("m", userId=" null ")), "no_user"), (json.dumps(event("m", userId="anon:1")), "reserved_id"),
        (json.dumps(event("m", event="!!")), "no_name"), (json.dumps(event("m", timestamp=None)), "no_time"),
        (json.dumps(event("m", properties={"x": "y" * 1_048_576})), "too_large"),
    ]  # fmt: skip


def typed(shop: Shop, column: str, *raw_events: str) -> list[Any]:
    shop.drop("a.jsonl", "\n".join(raw_events))
    report = shop.load()
    assert report.events_quarantined == 0, shop.rows("select reason, raw_text from raw.quarantined_events")
    return [row[0] for row in shop.rows(f"select {column} from raw.events order by event_seq")]


def with_property(name: str, spelled: str) -> str:
    return json.dumps(event("m" + spelled))[:-1] + f', "properties": {{"{name}": {spelled}}}}}'


def test_text_is_read_as_it_is_spelled(shop: Shop) -> None:
    lines = [with_property("product_id", spelled) for spelled, _ in TEXTS]
    assert typed(shop, "product_id", *lines) == [text for _, text in TEXTS]


def test_a_price_is_exact_to_four_places_or_missing(shop: Shop) -> None:
    lines = [with_property("price", spelled) for spelled, _ in PRICES]
    expected = [Decimal(number) if number else None for _, number in PRICES]
    assert typed(shop, "price", *lines) == expected


def test_a_time_of_the_documented_form_is_read_as_utc(shop: Shop) -> None:
    lines = [json.dumps(event(spelled, timestamp=spelled)) for spelled, _ in TIMES]
    assert typed(shop, "occurred_at", *lines) == [moment for _, moment in TIMES]


def test_any_other_time_counts_as_absent(shop: Shop) -> None:
    shop.drop("a.jsonl", [event("m", timestamp=spelled) for spelled in NO_TIMES])
    report = shop.load()
    assert shop.rows("select event_text from raw.events") == []
    assert report.quarantined == {"no_time": len(NO_TIMES)}


def test_event_names_become_snake_case(shop: Shop) -> None:
    lines = [json.dumps(event(str(given), event=given)) for given, _ in NAMES]
    assert typed(shop, "event_name", *lines) == [name for _, name in NAMES]


def test_calls_without_an_event_are_named_by_their_type(shop: Shop) -> None:
    lines = [json.dumps(event(kind, type=kind, event=None)) for kind, _ in CALLS]
    assert typed(shop, "event_name", *lines) == [name for _, name in CALLS]


def test_what_cannot_be_used_is_quarantined_with_its_reason_line_and_text(shop: Shop) -> None:
    shop.drop("day/a.jsonl", json.dumps(event("good")) + "\n\n" + "\n".join(line for line, _ in REASONS))
    assert shop.load().events_loaded == 1
    found = shop.rows(
        "select file_name, line_number, reason, raw_text from raw.quarantined_events order by line_number"
    )
    assert found == [("day/a.jsonl", number, reason, line) for number, (line, reason) in enumerate(REASONS, start=3)]


@pytest.mark.parametrize("text", ["x, ]", "NaN", "infinite", "[, }", 'say \\" nan , }'])
def test_strings_that_look_like_broken_json_are_only_strings(shop: Shop, text: str) -> None:
    shop.drop("a.jsonl", f'{{"messageId":"m","userId":"u","event":"e","timestamp":"2024-01-01","x":"{text}"}}')
    assert shop.load().events_loaded == 1


def test_a_wrong_device_clock_is_corrected_by_when_it_sent_and_when_that_arrived(shop: Shop) -> None:
    line = event("m", originalTimestamp="2020-01-01T00:00:00Z", sentAt="2020-01-01T00:00:10Z")
    line["receivedAt"] = "2024-05-01T12:00:00Z"
    assert typed(shop, "(client_time, occurred_at)", json.dumps(line)) == [
        (datetime(2020, 1, 1), datetime(2024, 5, 1, 11, 59, 50))
    ]


def test_an_event_from_the_future_is_brought_back_to_when_it_was_received(shop: Shop) -> None:
    at_limit = event("a", timestamp="2024-05-01T12:05:00Z", receivedAt="2024-05-01T12:00:00Z")
    over = event("b", timestamp="2024-05-01T12:05:00.000001Z", receivedAt="2024-05-01T12:00:00Z")
    unreceived = event("c", timestamp="2031-01-01")
    times = typed(shop, "occurred_at", *(json.dumps(item) for item in (at_limit, over, unreceived)))
    assert times == [datetime(2024, 5, 1, 12, 5), datetime(2024, 5, 1, 12), datetime(2030, 1, 1)]


def test_properties_that_are_no_object_have_no_fields(shop: Shop) -> None:
    lines = [json.dumps(event(f"m{index}", properties=value)) for index, value in enumerate(([1], "x", 3, None))]
    assert typed(shop, "coalesce(product_id, page_url, price::varchar)", *lines) == [None] * 4


def test_the_page_is_taken_from_the_context_where_the_properties_have_none(shop: Shop) -> None:
    line = event("m", context={"page": {"url": "https://x/"}, "consent": {"ads": False}})
    assert typed(shop, "(page_url, consent ->> '$.ads')", json.dumps(line)) == [("https://x/", "false")]


def test_keys_differ_whenever_one_of_the_four_columns_does(shop: Shop) -> None:
    variants = [
        event("m"), event("m", anonymousId="u1"), event("m", userId=None, anonymousId="u1"), event("m|", userId="2"),
        event("m", userId="|2"), event("m", timestamp="2024-05-01T10:00:00.000001Z"),
        event("m", timestamp=None, receivedAt="2024-05-01"), event("m", userId="-"), event("m", userId="0"),
    ]  # fmt: skip
    keys = typed(shop, "event_key", *(json.dumps(item) for item in variants))
    assert len(set(keys)) == len(variants)
