"""How far off a user was for a trigger that did not match.

Each trigger may have orchestration/sql/explain_near_<trigger>.sql: a query over `user_events` (columns as in
int_batch__events) that gives a row per user with observed_value, at, subject and what else its words need. It is a
Jinja template so that it can measure with the window macros that the trigger itself is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from orchestration.commands.explanation import NearMiss
from orchestration.commands.tables import Tables
from orchestration.commands.words import duration, of_threshold, when
from orchestration.settings import PROJECT_DIR
from orchestration.warehouse import SQL_DIR

Thresholds = Mapping[str, str]  # parameter -> value, as in the seed
Row = dict[str, Any]


@cache
def _templates() -> Environment:
    return Environment(loader=FileSystemLoader([SQL_DIR, PROJECT_DIR / "macros"]), undefined=StrictUndefined)


def is_measured(trigger_name: str) -> bool:
    return (SQL_DIR / f"explain_near_{trigger_name}.sql").exists()


def measure(tables: Tables, trigger_name: str, thresholds: Thresholds) -> list[Row]:
    """Rows of the trigger's query over `user_events`, one per user that did anything of the kind."""
    sql, values = measuring(trigger_name, thresholds)
    return tables.rows_of(sql, **values)


def measuring(trigger_name: str, thresholds: Thresholds) -> tuple[str, dict[str, Any]]:
    """The trigger's query over `user_events`, and its parameters."""
    numbers = {name: int(value) for name, value in thresholds.items() if name.endswith("_seconds")}
    sql = _templates().get_template(f"explain_near_{trigger_name}.sql").render(**numbers)
    (statement,) = duckdb.extract_statements(sql)
    values = {"product_ids": product_ids(thresholds)}
    return sql, {name: values[name] for name in statement.named_parameters}


def is_wait(trigger_name: str) -> bool:
    """Whether the trigger's threshold is a time to wait: how far off it is, the clock tells."""
    return _THRESHOLD.get(trigger_name) == "wait_seconds"


def threshold_of(trigger_name: str, thresholds: Thresholds) -> Decimal:
    """The value that the trigger's query measures against."""
    return Decimal(thresholds[_THRESHOLD[trigger_name]])


def product_ids(thresholds: Thresholds) -> list[str]:
    words = (thresholds.get("product_ids") or "").split("|")
    return [word.strip() for word in words if word.strip()]


def near_miss(tables: Tables, trigger_name: str, thresholds: Thresholds) -> NearMiss:
    """How far off the one user of `user_events` was."""
    if not is_measured(trigger_name):
        return NearMiss(words="no match; how far off is not measured for this trigger")
    if trigger_name == "engaged_with_product" and not product_ids(thresholds):
        return NearMiss(words="off: seeds/trigger_thresholds.csv names no product_ids")
    rows = measure(tables, trigger_name, thresholds)
    if not rows:
        return NearMiss(words=_NOTHING[trigger_name])
    threshold = threshold_of(trigger_name, thresholds)
    (row,) = rows
    return NearMiss(
        words=_WORDS[trigger_name](row, thresholds, threshold),
        observed_value=row["observed_value"],
        threshold_value=threshold,
        at=row["at"],
        subject=row["subject"],
    )


def _stay(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    measured = of_threshold(row["observed_value"], threshold, "seconds")
    return f"longest stay on a product page: {measured} ({_place(row)})"


def _related(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    window = duration(int(thresholds["window_seconds"]))
    measured = of_threshold(row["observed_value"], threshold, "")
    return f"most products of one category within {window}: {measured} ({_place(row)})"


def _cart_value(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    window = duration(int(thresholds["window_seconds"]))
    measured = of_threshold(row["observed_value"], threshold, "currency")
    return f"biggest cart within {window}: {measured} ({when(row['at'])})"


def _visits(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    return f"most visits on one day: {of_threshold(row['observed_value'], threshold, '')} ({row['at']:%Y-%m-%d})"


def _sign_ins(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    return f"most sign-ins on one day: {of_threshold(row['observed_value'], threshold, '')} ({row['at']:%Y-%m-%d})"


def _engaged(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    measured = of_threshold(row["observed_value"], threshold, "seconds")
    return f"longest visit with one of the products: {measured} ({_place(row)})"


def _cart(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    added = f"last product added {when(row['at'])}" + (f" ({row['subject']})" if row["subject"] else "")
    return added + _ending(row, threshold)


def _checkout(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    started = f"last checkout started {when(row['at'])}"
    within = duration(int(thresholds["sequence_seconds"]))
    if row["is_sequence"]:
        return started + _ending(row, threshold)
    if row["added_at"] is None:
        return f"{started}, no product added before it"
    before = duration((row["at"] - row["added_at"]).total_seconds())
    if row["ordered_before_at"] and row["ordered_before_at"] >= row["added_at"]:
        return f"{started}, an order stands between it and the last product added ({before} before)"
    return f"{started}, the last product was added {before} before, more than {within}"


def _ending(row: Row, threshold: Decimal) -> str:
    """How the wait that began at `at` ended, or when it ends."""
    if row["ended_at"] is None or row["observed_value"] > threshold:
        return f", waits until {when(row['at'] + timedelta(seconds=float(threshold)))}"
    return f", ordered {duration(row['observed_value'])} later, within {duration(threshold)}"


def _lapsed(row: Row, thresholds: Thresholds, threshold: Decimal) -> str:
    return f"last active {when(row['at'])}, waits until {when(row['at'] + timedelta(seconds=float(threshold)))}"


def _place(row: Row) -> str:
    return f"{row['subject']}, {when(row['at'])}" if row["subject"] else when(row["at"])


_THRESHOLD = {
    "time_on_page": "dwell_seconds",
    "related_product_views": "min_products",
    "frequent_visits": "min_visits",
    "frequent_sign_ins": "min_sign_ins",
    "cart_abandoned": "wait_seconds",
    "checkout_abandoned": "wait_seconds",
    "engaged_with_product": "visit_seconds",
    "high_value_cart": "min_amount",
    "lapsed_user": "wait_seconds",
}

_WORDS: dict[str, Callable[[Row, Thresholds, Decimal], str]] = {
    "time_on_page": _stay,
    "related_product_views": _related,
    "frequent_visits": _visits,
    "frequent_sign_ins": _sign_ins,
    "cart_abandoned": _cart,
    "checkout_abandoned": _checkout,
    "engaged_with_product": _engaged,
    "high_value_cart": _cart_value,
    "lapsed_user": _lapsed,
}

_NOTHING = {
    "time_on_page": "no product viewed",
    "related_product_views": "no product with a category viewed",
    "frequent_visits": "no visit",
    "frequent_sign_ins": "never signed in",
    "cart_abandoned": "no product added",
    "checkout_abandoned": "no checkout started",
    "engaged_with_product": "none of the products viewed",
    "high_value_cart": "no product added",
    "lapsed_user": "never active",
}
