"""What sqlglot 30 writes for other dialects without a word although it fails there, or means something else.

Every entry was tried with sqlglot 30.30 (a test still does: an entry that sqlglot has come to report is refused as
outdated). `dialects` are those in which what it writes is wrong; `example` has it, `instead_example` is the way out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from orchestration.check.pitfall_finders import (
    has_any_function,
    is_aggregate_filtered_over_window,
    is_alias_of_same_select,
    is_boolean_test,
    is_count_of_nothing,
    is_distinct_over_window,
    is_groups_frame,
    is_grouping_by_all,
    is_interval_frame,
    is_join_kind,
    is_materialized,
    is_named_window,
    is_of,
    is_order_by_all,
    is_star_with_changes,
    is_trailing_percent,
    is_unportable_cast,
)

DIALECTS = ("postgres", "spark", "snowflake", "bigquery")
POSTGRES, SPARK, SNOWFLAKE, BIGQUERY = DIALECTS

Finder = Callable[[exp.Expression], bool]


@dataclass(frozen=True)
class Pitfall:
    """`why` says what goes wrong in `dialects`, `instead` what to write."""

    name: str
    dialects: tuple[str, ...]
    why: str
    instead: str
    finds: Finder
    example: str
    instead_example: str


PITFALLS: tuple[Pitfall, ...] = (
    Pitfall(
        "asof join", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "only DuckDB has it in this form", "take max(time) of what lies before, grouped, and join on it",
        is_join_kind("ASOF"),
        "select e.a from e asof join f on e.u = f.u and e.t >= f.t",
        "select e.u, max(f.t) as t from e inner join f on e.u = f.u and e.t >= f.t group by e.u",
    ),
    Pitfall(
        "semi or anti join", (POSTGRES, SNOWFLAKE, BIGQUERY),
        "no such join there", "write where exists (...) or where not exists (...)",
        is_join_kind("SEMI", "ANTI"),
        "select a from e semi join f on e.u = f.u",
        "select a from e where exists (select 1 from f where f.u = e.u)",
    ),
    Pitfall(
        "positional join", DIALECTS,
        "only DuckDB has it", "join on a key",
        is_join_kind("POSITIONAL"),
        "select a from e positional join f", "select a from e inner join f on e.k = f.k",
    ),
    Pitfall(
        "natural join", (BIGQUERY,),
        "not there, and a new column changes what it joins on", "name the columns in `on`",
        is_join_kind("NATURAL"),
        "select a from e natural join f", "select a from e inner join f on e.k = f.k",
    ),
    Pitfall(
        "lateral", (SPARK, SNOWFLAKE, BIGQUERY),
        "not there, or only for some subqueries", "join a grouped CTE",
        is_of(exp.Lateral),
        "select e.a from e, lateral (select 1 as b where e.a = 1) as l",
        "select e.a from e inner join f on e.u = f.u",
    ),
    Pitfall(
        "distinct aggregate over a window", DIALECTS,
        "none of them counts distinct values over a frame", "use the macro distinct_in_window()",
        is_distinct_over_window,
        "select count(distinct p) over (partition by u order by t nulls first range between 5 preceding and current row)"
        " as c from e",
        "select count(p) over (partition by u order by t nulls first range between 5 preceding and current row) as c from e",
    ),
    Pitfall(
        "interval frame", (SNOWFLAKE, BIGQUERY),
        "BigQuery's frames take numbers only, and the spelling differs elsewhere",
        "order by occurred_us and give the frame in microseconds",
        is_interval_frame,
        "select sum(p) over (order by t nulls first range between interval 10 minute preceding and current row) as c from e",
        "select sum(p) over (order by t_us nulls first range between 600000000 preceding and current row) as c from e",
    ),
    Pitfall(
        "groups frame", (SPARK, SNOWFLAKE, BIGQUERY),
        "no such frame there", "group simultaneous rows in a CTE and use a rows frame",
        is_groups_frame,
        "select sum(a) over (order by k nulls first groups between 1 preceding and current row) as c from e",
        "select sum(a) over (order by k nulls first rows between 1 preceding and current row) as c from e",
    ),
    Pitfall(
        "filter over a window", (SPARK,),
        "an aggregate over a window takes no filter there", "write sum(case when ... then ... end) over (...)",
        is_aggregate_filtered_over_window,
        "select max(a) filter (where b) over (partition by u) as c from e",
        "select max(case when b then a end) over (partition by u) as c from e",
    ),
    Pitfall(
        "named window", DIALECTS,
        "not on all of them, and sqlglot fails on some forms", "write the window where it is used",
        is_named_window,
        "select sum(p) over w as c from e window w as (partition by u order by k nulls first)",
        "select sum(p) over (partition by u order by k nulls first) as c from e",
    ),
    Pitfall(
        "group by all", (POSTGRES,),
        "not there, and one more column in the list changes the groups", "name the columns",
        is_grouping_by_all,
        "select u, count(*) as c from e group by all", "select u, count(*) as c from e group by u",
    ),
    Pitfall(
        "order by all", (POSTGRES, SNOWFLAKE, BIGQUERY),
        "not there", "name the columns",
        is_order_by_all,
        "select a from e order by all", "select a from e order by a",
    ),
    Pitfall(
        "star with exclude, except, replace or rename", (POSTGRES, SPARK),
        "no such star there", "name the columns",
        is_star_with_changes,
        "select * exclude (a) from e", "select b, c from e",
    ),
    Pitfall(
        "columns()", DIALECTS,
        "only DuckDB has it", "name the columns",
        is_of(exp.Columns),
        "select columns('a.*') from e", "select a1, a2 from e",
    ),
    Pitfall(
        "arg_min, arg_max, min_by, max_by", (POSTGRES,),
        "no such function there, and ties are open everywhere", "number the rows with row_number() and keep the first",
        is_of(exp.ArgMin, exp.ArgMax),
        "select arg_min(a, b) as c from e",
        "select a as c from (select a, row_number() over (order by b nulls first) as n from e) as f where n = 1",
    ),
    Pitfall(
        "array_agg, list", (SPARK,),
        "the order by is dropped there (collect_list); nulls and their order differ elsewhere",
        "use the macro ordered_array_agg()",
        is_of(exp.ArrayAgg),
        "select array_agg(a order by b nulls first) as c from e", "select max(a) as c from e",
    ),
    Pitfall(
        "string_agg, group_concat, listagg", (POSTGRES, SPARK, SNOWFLAKE),
        "separator, ordering of nulls and the length limit differ", "use the macro ordered_array_agg()",
        is_of(exp.GroupConcat),
        "select string_agg(a, ',' order by b) as c from e", "select max(a) as c from e",
    ),
    Pitfall(
        "first, last, any_value", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "not there, or any row's value, another one each time", "use min() or max(), or number the rows",
        is_of(exp.First, exp.Last),
        "select first(a) as c from e", "select min(a) as c from e",
    ),
    Pitfall(
        "any_value", (SPARK, SNOWFLAKE, BIGQUERY),
        "any row's value, another one each time", "use min() or max()",
        is_of(exp.AnyValue),
        "select any_value(a) as c from e", "select min(a) as c from e",
    ),
    Pitfall(
        "median, quantile, mode", DIALECTS,
        "not there in this form, interpolated differently, or open to ties", "number the rows and take the middle one",
        is_of(exp.Median, exp.Mode, exp.Quantile, exp.PercentileCont, exp.PercentileDisc, exp.ApproxQuantile),
        "select mode(a) as c from e", "select max(a) as c from e",
    ),
    Pitfall(
        "approximate aggregate", DIALECTS,
        "another estimate on every platform", "count exactly",
        is_of(exp.ApproxDistinct, exp.ApproxTopK),
        "select approx_count_distinct(a) as c from e", "select count(distinct a) as c from e",
    ),
    Pitfall(
        "avg", DIALECTS,
        "a double in DuckDB, a decimal of differing scale elsewhere", "compare the sum with the count times the number",
        is_of(exp.Avg),
        "select avg(a) as c from e", "select sum(a) as s, count(a) as c from e",
    ),
    Pitfall(
        "division", DIALECTS,
        "a double in DuckDB, whole numbers in Postgres, decimals of differing scale elsewhere",
        "multiply the other side, or put it behind a macro of macros/cross_db",
        is_of(exp.Div),
        "select a / 2 as c from e", "select a as c from e where a > 2 * b",
    ),
    Pitfall(
        "integer division //", (SNOWFLAKE,),
        "written as trunc(a / b), which rounds to six digits first", "put it behind a macro of macros/cross_db",
        is_of(exp.IntDiv),
        "select a // 2 as c from e", "select a % 2 as c from e",
    ),
    Pitfall(
        "power ^ **", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "a double, rounded differently", "multiply",
        is_of(exp.Pow),
        "select a ^ 2 as c from e", "select a * a as c from e",
    ),
    Pitfall(
        "greatest, least", (BIGQUERY,),
        "null there as soon as one argument is null; DuckDB leaves nulls out", "write case when a >= b then a else b end",
        is_of(exp.Greatest, exp.Least),
        "select least(a, b) as c from e", "select case when a <= b then a else b end as c from e",
    ),
    Pitfall(
        "is true, is false", (SNOWFLAKE,),
        "written as the bare condition, which is null where it is unknown", "write coalesce(condition, false)",
        is_boolean_test,
        "select a is true as c from e", "select coalesce(a, false) as c from e",
    ),
    Pitfall(
        "alias used in the same select", (POSTGRES, BIGQUERY),
        "a select cannot see its own aliases there", "name it in a CTE, or repeat the expression",
        is_alias_of_same_select,
        "with e as (select 1 as a) select a + 1 as b, b + 1 as c from e",
        "with e as (select 1 as a) select a + 1 as b, a + 2 as c from e",
    ),
    Pitfall(
        "qualify", (POSTGRES, SPARK),
        "not there: sqlglot builds a subquery, dbt runs the text as it is", "filter a CTE that has the window function",
        has_any_function("qualify"),
        "select a from e qualify row_number() over (partition by u order by k nulls first) = 1",
        "select a from (select a, row_number() over (order by k nulls first) as n from e) as f where n = 1",
    ),
    Pitfall(
        "distinct on", (SPARK, SNOWFLAKE, BIGQUERY),
        "not there: sqlglot builds a subquery, dbt runs the text as it is", "number the rows and keep the first",
        has_any_function("distinct_on"),
        "select distinct on (u) u, t from e order by u nulls first, t nulls first",
        "select u, min(t) as t from e group by u",
    ),
    Pitfall(
        "union by name", DIALECTS,
        "no such union there", "name the columns in one order",
        has_any_function("by_name"),
        "select a from e union all by name select a from f", "select a from e union all select a from f",
    ),
    Pitfall(
        "materialized cte", (SPARK, SNOWFLAKE, BIGQUERY),
        "no such hint there", "leave the word out",
        is_materialized,
        "with r as materialized (select 1 as a) select a from r", "with r as (select 1 as a) select a from r",
    ),
    Pitfall(
        "recursive cte", (SPARK,),
        "not before Spark 4", "use window functions",
        has_any_function("recursive"),
        "with recursive r as (select 1 as a union all select a + 1 from r where a < 5) select a from r",
        "with r as (select 1 as a) select a from r",
    ),
    Pitfall(
        "limit in percent", DIALECTS,
        "not there", "limit to a number of rows",
        is_trailing_percent,
        "select a from e order by a nulls first limit 10%", "select a from e order by a nulls first limit 10",
    ),
    Pitfall(
        "count()", (SPARK, SNOWFLAKE, BIGQUERY, POSTGRES),
        "needs an argument there", "write count(*)",
        is_count_of_nothing,
        "select count() as c from e", "select count(*) as c from e",
    ),
    Pitfall(
        "list lambda or comprehension", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "not there, or rewritten into subqueries that lose nulls and order", "unnest it in staging",
        is_of(exp.Lambda, exp.Comprehension),
        "select list_filter(l, lambda x: x > 1) as c from e", "select a as c from e where a > 1",
    ),
    Pitfall(
        "list, struct or map", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "types, base of the index and nulls differ (Snowflake's lists hold variants)",
        "use `in (...)` for a list of values, columns for a struct, the macro ordered_array_agg() for evidence",
        is_of(
            exp.Array, exp.List, exp.Struct, exp.ToMap, exp.Bracket, exp.Slice, exp.ArrayConcat, exp.ArrayContains,
            exp.ArraySize, exp.ArrayAny, exp.ArrayDistinct, exp.ArraySort, exp.GenerateSeries,
        ),
        "select [a, b] as c from e", "select a from e where a in (1, 2)",
    ),
    Pitfall(
        "unnest", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "another syntax everywhere; Snowflake gives variants", "unnest it in staging",
        is_of(exp.Unnest, exp.Explode),
        "select c from e, unnest(l) as t(c)", "select a as c from e",
    ),
    Pitfall(
        "length, len", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "of a list it is another function there, and sqlglot cannot tell", "count the rows, or measure in staging",
        is_of(exp.Length),
        "select len(l) as c from e", "select count(*) as c from e",
    ),
    Pitfall(
        "row value", (SNOWFLAKE, BIGQUERY, SPARK, POSTGRES),
        "comparing and counting whole rows differs", "name the columns one by one",
        has_any_function("tuple"),
        "select count(distinct (a, b)) as c from e", "select a, b from e group by a, b",
    ),
    Pitfall(
        "json path", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "types, paths and the quoting of what is found differ", "take the value out in staging",
        is_of(exp.JSONExtract, exp.JSONExtractScalar, exp.JSONBExtract, exp.ParseJSON),
        "select a ->> '$.x' as c from e", "select x as c from e",
    ),
    Pitfall(
        "regular expression, glob, similar to", DIALECTS,
        "another dialect of patterns everywhere", "write like, or match in staging",
        is_of(exp.RegexpLike, exp.RegexpILike, exp.RegexpExtract, exp.RegexpReplace, exp.RegexpFullMatch, exp.SimilarTo,
              exp.Glob),
        "select regexp_matches(a, 'x') as c from e", "select a like '%x%' as c from e",
    ),
    Pitfall(
        "try_cast", (POSTGRES, SNOWFLAKE),
        "written as a plain cast, which fails on what DuckDB makes null", "cast in staging",
        is_of(exp.TryCast),
        "select try_cast(a as int) as c from e", "select cast(a as int) as c from e",
    ),
    Pitfall(
        "cast to a type of DuckDB's own", (POSTGRES, SNOWFLAKE, BIGQUERY, SPARK),
        "no such type there, or another meaning; sums of floating point depend on the order of the rows",
        "cast to varchar, boolean, int, bigint, decimal(p, s), date or timestamp",
        is_unportable_cast,
        "select cast(a as hugeint) as c from e", "select cast(a as decimal(38, 0)) as c from e",
    ),
    Pitfall(
        "epoch of a time", (SPARK, SNOWFLAKE, BIGQUERY),
        "whole seconds, or not there", "use the macro microseconds_of()",
        is_of(exp.TimeToUnix, exp.Extract),
        "select epoch(t) as c from e", "select t_us as c from e",
    ),
    Pitfall(
        "time from a number", (POSTGRES, SNOWFLAKE, BIGQUERY),
        "gives a time with zone there", "use the macro timestamp_of()",
        is_of(exp.UnixToTime),
        "select make_timestamp(a) as c from e", "select a as c from e",
    ),
    Pitfall(
        "difference of times", (SPARK, BIGQUERY, SNOWFLAKE, POSTGRES),
        "elapsed units in one, boundaries crossed in another", "subtract microseconds_of()",
        is_of(exp.DateDiff, exp.TimestampDiff, exp.DatetimeDiff),
        "select date_diff('second', a, b) as c from e", "select b_us - a_us as c from e",
    ),
    Pitfall(
        "interval", (POSTGRES, SPARK, SNOWFLAKE, BIGQUERY),
        "types of the sum and ranges differ", "add microseconds to microseconds_of() and convert once, at the end",
        is_of(exp.Interval),
        "select t + interval 5 minute as c from e", "select t_us + 300000000 as c from e",
    ),
    Pitfall(
        "time zone", (SPARK, SNOWFLAKE, BIGQUERY),
        "Snowflake's two-argument form uses the session's zone, and the types differ", "use the macro local_day_of()",
        is_of(exp.AtTimeZone, exp.ConvertTimezone),
        "select t at time zone 'UTC' as c from e", "select local_day as c from e",
    ),
    Pitfall(
        "collate", (SPARK, BIGQUERY),
        "other names of collations everywhere", "compare lower() of both",
        is_of(exp.Collate),
        "select a collate nocase as c from e", "select lower(a) as c from e",
    ),
)
