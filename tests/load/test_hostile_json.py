"""The typed columns of hostile events against a second, independent reading of semantics, section 1."""

from __future__ import annotations

import atexit
import json
import re
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import Any

import duckdb
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from orchestration.warehouse import read_sql

TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(?:(Z)|([+-])(\d\d):?(\d\d))?", re.ASCII
)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Spelled(str):
    """A number as it stands in the JSON."""


def text_of(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, dict | list):
        return None
    return str(value).strip() or None


def number_of(value: Any) -> Decimal | None:
    text = text_of(value)
    if text is None or not NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    if number.adjusted() > 20:
        return None if number else Decimal(0)
    if number.adjusted() < -20:
        return Decimal(0)
    rounded = number.quantize(Decimal("0.0001"), ROUND_HALF_UP)
    return rounded if abs(rounded) < 10**14 else None


def time_of(value: Any) -> datetime | None:
    match = TIME.fullmatch(value) if isinstance(value, str) and not isinstance(value, Spelled) else None
    if not match:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, off_hour, off_minute = match.groups()
    try:
        local = datetime(*(int(part or 0) for part in (year, month, day, hour, minute, second)))
        local += timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
        if sign:
            if int(off_hour) > 23 or int(off_minute) > 59:
                return None
            offset = timedelta(hours=int(off_hour), minutes=int(off_minute))
            local -= offset if sign == "+" else -offset
    except (ValueError, OverflowError):
        return None
    return local


def spelled_json(value: Any) -> str:
    if isinstance(value, Spelled):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}: {spelled_json(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)


json_numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?", fullmatch=True).map(
    Spelled
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text("0123456789+-.eE _x", max_size=12),
    st.sampled_from(["null", "undefined", " NaN", "inf,]", "1e3", ' "1.10" ', "\0", "anon", "\\", 'a\\"b', "é" * 3]),
    json_numbers.map(str),
)
stamps = st.one_of(
    st.from_regex(
        r"(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,9})?)?)?"
        r"(Z|[+-][0-2][0-9]:?[0-6][0-9])?",
        fullmatch=True,
    ),
    st.sampled_from(["0001-01-01T00:00+01:00", "9999-12-31T23:59-01:00", "0000-01-01", "2024-01-01 "]),
    texts,
)  # fmt: skip
values = st.one_of(texts, json_numbers, st.booleans(), st.none(), st.just({}), st.just([1.10]))
events = st.fixed_dictionaries(
    {
        "id": values,
        "price": values,
        "at": st.one_of(stamps, values),
        "noise": st.dictionaries(texts, values, max_size=2),
    }
)


# A failing event is shown alone; shrinking whole batches would take minutes to say the same.
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.reuse, Phase.generate])
@given(batch=st.lists(events, min_size=20, max_size=40))
def test_hostile_values_are_read_as_the_page_says(batch: list[dict[str, Any]]) -> None:
    lines = [
        spelled_json(
            {
                "messageId": "m", "userId": item["id"], "anonymousId": "a", "event": "e",
                "originalTimestamp": item["at"],
                "receivedAt": "2024-01-01", "properties": {"price": item["price"], "product_id": item["price"]},
                "traits": item["noise"],
            }
        )
        for item in batch
    ]  # fmt: skip
    expected = [
        (
            None if text_of(item["id"]) in ("null", "undefined") else text_of(item["id"]),
            text_of(item["price"]),
            number_of(item["price"]),
            time_of(item["at"]),
        )
        for item in batch
    ]
    found = read_by_the_loader(lines)
    assert [trio for trio in zip(lines, found, expected, strict=True) if trio[1] != trio[2]] == []


def read_by_the_loader(lines: list[str]) -> list[tuple[Any, ...]]:
    connection = _warehouse()
    connection.execute(read_sql("load_begin"))
    connection.execute(
        "insert into load_records select 0, generate_subscripts($lines, 1), 1, unnest($lines), null, null",
        {"lines": lines},
    )
    connection.execute(read_sql("load_typed"), {"max_event_bytes": 10**6})
    reasons = connection.execute("select distinct reason from load_typed where reason is not null").fetchall()
    assert reasons in ([], [("reserved_id",)])
    return connection.execute(
        "select known_user_id, product_id, price, client_time from load_typed order by row_id"
    ).fetchall()


@cache
def _warehouse() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(read_sql("load_macros"))
    atexit.register(_warehouse.cache_clear)
    return connection
