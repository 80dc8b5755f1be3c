"""SQL that would not run the same on Postgres, Spark, Snowflake and BigQuery."""

from __future__ import annotations

import duckdb
import pytest
import sqlglot
from sqlglot.errors import ErrorLevel

from orchestration.check import DIALECTS, PITFALLS, Pitfall, check_sql

WORKING_SET = {"e": (("k",),), "f": (("k",),)}


def messages(sql: str, dialects: tuple[str, ...] = DIALECTS) -> list[str]:
    problems = check_sql("trg_x", sql, working_set=WORKING_SET, dialects=dialects)
    return [problem.message for problem in problems if problem.rule == "not_portable"]


def is_found(pitfall: Pitfall, sql: str, dialects: tuple[str, ...] = DIALECTS) -> bool:
    return any(message.startswith(f"{pitfall.name} (") for message in messages(sql, dialects))


@pytest.mark.parametrize("pitfall", PITFALLS, ids=lambda pitfall: pitfall.name)
def test_a_pitfall_is_refused_and_the_way_out_that_it_names_passes(pitfall: Pitfall) -> None:
    assert is_found(pitfall, pitfall.example)
    assert messages(pitfall.instead_example) == []


@pytest.mark.parametrize("pitfall", PITFALLS, ids=lambda pitfall: pitfall.name)
def test_a_pitfall_is_still_one_that_sqlglot_keeps_silent_about(pitfall: Pitfall) -> None:
    tree = sqlglot.parse_one(pitfall.example, read="duckdb")
    for dialect in pitfall.dialects:
        assert tree.sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE)


@pytest.mark.parametrize("pitfall", PITFALLS, ids=lambda pitfall: pitfall.name)
def test_a_pitfall_is_no_problem_for_platforms_that_it_does_not_concern(pitfall: Pitfall) -> None:
    others = tuple(dialect for dialect in DIALECTS if dialect not in pitfall.dialects)
    assert not is_found(pitfall, pitfall.example, others)


def test_duckdb_leaves_nulls_out_of_greatest_as_the_list_says() -> None:
    assert duckdb.sql("select greatest(1, null), null is true").fetchall() == [(1, False)]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        # sqlglot reports it.
        ("select max(a) over (order by k range between 1 preceding and current row) as c from e", "BigQuery"),
        ("select first_value(a ignore nulls) over (order by k) as c from e", "Postgres"),
        ("select a from e intersect all select a from f", "Snowflake"),
        ("select max(a, 2) as c from e", "Spark"),
        # sqlglot does not know it.
        ("select epoch_us(a) as c from e", "epoch_us()"),
        ("select t + to_seconds(5) as c from e", "to_seconds()"),
        ("select printf('%d', a) as c from e", "printf()"),
        ("select product(a) as c from e", "product()"),
        # nobody has compared it.
        ("select date_trunc('week', a) as c from e", "has not been compared"),
        ("select string_split(a, '|') as c from e", "has not been compared"),
    ],
)
def test_what_fails_on_one_platform_is_refused(sql: str, said: str) -> None:
    assert any(said in message for message in messages(sql)), messages(sql)


def test_a_frame_over_nullable_values_says_how_to_mend_it() -> None:
    (message,) = messages("select max(a) over (order by k range between 1 preceding and current row) as c from e")
    assert "nulls first" in message


@pytest.mark.parametrize(
    "sql",
    [
        "select /* cross_db:ordered_array_agg */ array_agg(a order by t, k) as c from e group by u",
        "select /* cross_db:microseconds_of */ epoch_us(a) - 5 as c from e",
        "select /*cross_db:local_day_of*/ cast(timezone('Europe/Berlin', timezone('UTC', a)) as date) as c from e",
        "select /* cross_db:local_day_of */ cast(/* cross_db:timestamp_of */ make_timestamp(a) as date) as c from e",
        "select /* cross_db:x */ median(a) over (partition by u) as c from e",
        "select /* cross_db:x */ median(a) filter (where b = ')') as c from e",
        "select a from e where /* cross_db:x */ regexp_matches(a, '(') group by a, /* cross_db:y */ hash(a)",
    ],
)
def test_what_a_dispatched_macro_renders_is_left_to_it(sql: str) -> None:
    assert messages(sql) == []


def test_a_marker_covers_its_own_call_and_nothing_after_it() -> None:
    assert messages("select /* cross_db:x */ epoch_us(a) - epoch_us(b) as c from e")
    assert messages("select /* cross_db:x */ epoch_us(a) as c, /* some comment */ epoch_us(b) as d from e")


@pytest.mark.parametrize(
    "sql",
    [
        "select sum(p) over (partition by u order by t nulls first range between 5 preceding and current row) from e",
        "select row_number() over (partition by u order by t, k) as c from e",
        "select cast(a as decimal(38, 8)) as c, cast(null as varchar[]) as d, cast(b as timestamp) as g from e",
        "select u, count(*) as n from e where a between 1 and 2 and b in ('x', 'y') group by u having max(k) > 2",
        "select e.u, case when e.a > 1 then 'x' else 'y' end as c from e left join f on e.u = f.u and e.t < f.t",
        "with e as (select 1 as a) select lower(a) as a, a as b from e",
    ],
)
def test_plain_sql_passes(sql: str) -> None:
    assert messages(sql) == []
