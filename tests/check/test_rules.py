"""What `tripline check` refuses, and what it must let pass."""

from __future__ import annotations

import pytest

from orchestration.check import Problem, check_sql
from orchestration.check.contract import ROW_CONTRACT

WORKING_SET = {"int_batch__events": (("event_key",),), "int_batch__visits": (("user_id", "visit_started_us"),)}
COLUMNS = {
    "int_batch__events": ["event_key", "user_id", "occurred_us", "event_name", "product_id", "price"],
    "int_batch__visits": ["user_id", "visit_started_us", "visit_ended_us"],
}
EVENTS = "with e as (select * from wh.batches.int_batch__events) "
GIVES_ALL = ", ".join(f"1 as {column}" for column in ROW_CONTRACT)


def found(sql: str, rule: str) -> list[Problem]:
    problems = check_sql("trg_x", sql, working_set=WORKING_SET, working_set_columns=COLUMNS)
    return [problem for problem in problems if problem.rule == rule]


def over_events(expression: str, rest: str = "") -> str:
    return f"{EVENTS}select {expression} as c from e {rest}"


@pytest.mark.parametrize(
    "expression",
    [
        "now()", "today()", "current_date", "current_timestamp", "current_time", "localtime", "localtimestamp",
        "get_current_timestamp()", "transaction_timestamp()", "current_localtimestamp()", "random()", "uuid()",
        "gen_random_uuid()", "uuidv7()", "nextval('s')", "age(occurred_at)", "'now'::timestamp", "timestamp 'today'",
        "current_setting('x')", "getvariable('x')", "rowid", "coalesce(price, random())",
        "/* cross_db:timestamp_of */ make_timestamp(epoch_us(now()))",
    ],
)  # fmt: skip
def test_a_trigger_that_asks_for_the_time_or_a_random_number_is_refused(expression: str) -> None:
    assert found(over_events(expression), "clock_or_random")


def test_a_random_sample_is_refused() -> None:
    assert found("select event_key from int_batch__events using sample 10%", "clock_or_random")


@pytest.mark.parametrize("expression", ["occurred_us", "'now'", "age(a, b)", "cast('2026-01-01' as timestamp)", "uuid"])
def test_times_of_the_data_are_no_clock(expression: str) -> None:
    assert not found(over_events(expression), "clock_or_random")


@pytest.mark.parametrize(
    "sql",
    [
        "select * from raw.events",
        "select * from stg_events",
        "select * from int_batch__events as e inner join int_visits as v on e.user_id = v.user_id",
        "select * from read_parquet('events.parquet')",
        "select * from 'events.parquet'",
        "select user_id from int_batch__events where user_id in (select user_id from seeds.suppressed_users)",
        "select (select max(batch_id) from raw.load_batches) as c from int_batch__events",
        # A CTE does not hide the table that it is named after.
        "with stg_events as (select * from stg_events) select * from stg_events",
        # A CTE of another query is not visible.
        "select * from (with inner_events as (select 1 as a) select a from inner_events) as x, inner_events as y",
        "with a as (select * from later), later as (select 1 as b) select * from a",
    ],
)
def test_a_trigger_that_reads_past_the_working_set_is_refused(sql: str) -> None:
    assert found(sql, "reads_past_working_set")


@pytest.mark.parametrize(
    "sql",
    [
        'select * from "warehouse"."batches"."int_batch__events"',
        "select * from INT_BATCH__VISITS",
        "with a as (select * from int_batch__events), b as (select * from a) select * from b inner join a on a.k = b.k",
        "select * from (with a as (select 1 as b) select b from a) as c",
        "with a as (select 1 as b) select * from int_batch__events where exists (select 1 from a)",
        "with recursive r as (select 1 as a union all select a + 1 from r where a < 3) select a from r",
    ],
)
def test_the_working_set_and_the_triggers_own_ctes_may_be_read(sql: str) -> None:
    assert not found(sql, "reads_past_working_set")


GROUPED = (
    "with g as (select user_id, occurred_us, max(price) as price from int_batch__events group by user_id, occurred_us) "
)
JOINED = "from int_batch__events as e inner join int_batch__visits as v on e.user_id = v.user_id"

TIES = [
    over_events("row_number() over (partition by user_id order by occurred_us)"),
    over_events("row_number() over ()"),
    over_events("lag(price) over (partition by user_id order by occurred_us)"),
    over_events("lag(occurred_us) over (partition by user_id order by occurred_us)"),
    over_events("first_value(price) over (partition by user_id order by occurred_us)"),
    over_events("last_value(price ignore nulls) over (partition by user_id order by occurred_us)"),
    over_events("sum(price) over (order by occurred_us rows between 1 preceding and current row)"),
    over_events("first_value(occurred_us) over (order by occurred_us rows between 1 preceding and current row)"),
    over_events("sum(price) filter (where price > 1) over (order by occurred_us rows unbounded preceding)"),
    over_events("array_agg(product_id order by occurred_us)", "group by user_id"),
    over_events("/* cross_db:ordered_array_agg */ array_agg(product_id order by occurred_us)", "group by user_id"),
    over_events("array_agg(event_key)", "group by user_id"),
    over_events("string_agg(product_id, ',')", "group by user_id"),
    over_events("any_value(price)", "group by user_id"),
    over_events("arg_min(price, occurred_us)", "group by user_id"),
    over_events("array_agg(price) over (partition by user_id order by occurred_us)"),
    over_events("price", "order by occurred_us limit 3"),
    over_events("price", "limit 3"),
    EVENTS + "select distinct on (user_id) user_id, price from e order by user_id, occurred_us",
    # The grouping has a column that the ordering lacks.
    GROUPED + "select row_number() over (order by occurred_us) as c from g",
    # A union may hold a grouped row twice.
    GROUPED + ", u as (select * from g union all select * from g) "
    "select row_number() over (partition by user_id order by occurred_us) as c from u",
    # A join repeats the events.
    f"select row_number() over (order by e.event_key) as c {JOINED}",
    f"select row_number() over (order by v.user_id, v.visit_started_us) as c {JOINED}",
    # The key of another relation of the join is not this one's.
    "select row_number() over (order by b.event_key) as c from int_batch__events as a, int_batch__events as b",
    "with j as (select a.event_key from int_batch__events as a cross join int_batch__events as b) "
    "select row_number() over (order by event_key) as c from j",
    # Rows that found nothing all have no event.
    "select row_number() over (order by e.event_key) as c from int_batch__events as e right join int_batch__visits as v"
    " on e.user_id = v.user_id and e.occurred_us = v.visit_started_us",
    # Inside a subquery, and inside a CTE.
    "select user_id from int_batch__events where price in "
    "(select row_number() over (order by occurred_us) from int_batch__events)",
    "with n as (select row_number() over (order by occurred_us) as c from int_batch__events) select c from n",
]

NO_TIES = [
    over_events("row_number() over (partition by user_id order by occurred_us, event_key)"),
    over_events("row_number() over (partition by event_key order by occurred_us)"),
    over_events("rank() over (partition by user_id order by occurred_us)"),
    over_events("dense_rank() over (order by occurred_us)"),
    over_events(
        "sum(price) over (partition by user_id order by occurred_us range between 5 preceding and current row)"
    ),
    over_events("sum(price) over (partition by user_id order by occurred_us)"),
    over_events("max(price) over (partition by user_id)"),
    over_events("sum(price) over (order by price rows between unbounded preceding and unbounded following)"),
    over_events("first_value(occurred_us) over (partition by user_id order by occurred_us)"),
    over_events("array_agg(event_key order by occurred_us, event_key)", "group by user_id"),
    over_events(
        "/* cross_db:ordered_array_agg */ array_agg(event_key order by occurred_us, event_key)", "group by user_id"
    ),
    over_events("array_agg(distinct product_id order by product_id)", "group by user_id"),
    over_events("arg_min(price, event_key)", "group by user_id"),
    over_events("price", "order by occurred_us, event_key limit 3"),
    GROUPED + "select lag(price) over (partition by user_id order by occurred_us) as c from g",
    GROUPED + "select sum(price) over (partition by user_id order by occurred_us rows unbounded preceding) as c from g",
    # Handed on by name, by star, renamed, filtered, and by a query in brackets.
    GROUPED + ", h as (select user_id as u, occurred_us as t, price from g where price > 1), i as (select * from h) "
    "select row_number() over (partition by u order by t) as c from (select i.* from i) as j",
    "with d as (select distinct user_id, product_id from int_batch__events) "
    "select row_number() over (partition by user_id order by product_id) as c from d",
    # A grouped select orders its groups.
    "select user_id, lead(occurred_us) over (partition by user_id order by occurred_us) as c from int_batch__events "
    "group by user_id, occurred_us",
    "select user_id, lead(max(price)) over (order by user_id) as c from int_batch__events group by 1",
    # Both keys; a side that is looked up by its key; a filter.
    f"select row_number() over (order by e.event_key, v.visit_started_us) as c {JOINED}",
    "select row_number() over (order by e.event_key) as c from int_batch__events as e left join int_batch__visits as v "
    "on e.user_id = v.user_id and e.occurred_us = v.visit_started_us",
    "select row_number() over (order by e.event_key) as c from int_batch__events as e "
    "inner join int_batch__visits as v using (user_id, visit_started_us)",
    # The event settles the user, and so the other side's part of its key.
    "select row_number() over (order by e.event_key, v.visit_started_us) as c from int_batch__visits as v "
    "inner join int_batch__events as e on v.user_id = e.user_id",
    "with m as (select max(price) as price from int_batch__events) "
    "select row_number() over (order by e.event_key) as c from int_batch__events as e cross join m",
]


@pytest.mark.parametrize("sql", TIES)
def test_an_ordering_that_leaves_ties_open_is_refused(sql: str) -> None:
    problems = found(sql, "ordering_not_unique")
    assert problems
    assert all("event_key" in problem.message for problem in problems), "the message says what to write"


@pytest.mark.parametrize("sql", NO_TIES)
def test_an_ordering_in_which_ties_cannot_matter_passes(sql: str) -> None:
    assert not found(sql, "ordering_not_unique")


@pytest.mark.parametrize("column", ROW_CONTRACT)
def test_a_trigger_that_lacks_a_column_of_the_contract_is_refused_by_its_name(column: str) -> None:
    given = ", ".join(f"1 as {other}" for other in ROW_CONTRACT if other != column)
    (problem,) = found(f"select {given}", "row_contract")
    assert problem.message.startswith(f"lacks {column};")


@pytest.mark.parametrize(
    "sql",
    [
        f"select {GIVES_ALL}",
        f"select {GIVES_ALL}, 2 as one_more",
        f"with final as (select {GIVES_ALL}) select * from final",
        f"with a as (select {GIVES_ALL}), b as (select a.*, 1 as x from a) select * from b union all select * from b",
        f"select {GIVES_ALL.upper()}",
    ],
)
def test_columns_of_the_contract_are_seen_through_stars_and_unions(sql: str) -> None:
    assert not found(sql, "row_contract")


def test_a_star_that_leaves_out_a_column_of_the_contract_is_seen() -> None:
    sql = f"with a as (select {GIVES_ALL}) select * exclude (variant) from a"
    assert "lacks variant" in found(sql, "row_contract")[0].message


def test_columns_that_cannot_be_known_are_no_columns() -> None:
    problems = check_sql("trg_x", "select * from int_batch__events", working_set=WORKING_SET)
    assert [problem.message for problem in problems if problem.rule == "row_contract"]


@pytest.mark.parametrize(
    ("sql", "line"),
    [("select (a,\n  from b", 2), ("select 1;\nselect 2", 0), ("drop table a", 0), ("", 0)],
)
def test_what_is_not_one_query_is_refused(sql: str, line: int) -> None:
    problems = check_sql("trg_x", sql)
    assert [(problem.rule, problem.line) for problem in problems] == [("unreadable", line)]


def test_a_marker_that_stands_before_nothing_it_could_mean_is_refused() -> None:
    (problem,) = check_sql("trg_x", "select\n/* cross_db:local_day_of */ a + b as c from int_batch__events")
    assert problem.rule == "unreadable"
    assert "line 2" in problem.message


def test_a_problem_names_the_line_of_the_compiled_sql() -> None:
    sql = EVENTS + "\nselect\n    price,\n    coalesce(\n        price, now()\n    ) as c\nfrom e"
    assert [problem.line for problem in found(sql, "clock_or_random")] == [5]
