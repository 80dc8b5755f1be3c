"""The rules for one trigger's compiled SQL.

unreadable               is not one query that sqlglot can parse
clock_or_random          asks for the time, a random number or the session: a batch fixes its bounds once
reads_past_working_set   reads another relation than the working set
ordering_not_unique      orders rows that can tie, where the order matters (see `ordering`)
row_contract             lacks columns that every trigger gives (see `contract`)
not_portable             does not mean the same on Postgres, Spark, Snowflake and BigQuery (see `portability`)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from orchestration.check.contract import ROW_CONTRACT, WORKING_SET
from orchestration.check.markers import wrap_marked
from orchestration.check.ordering import check_orderings
from orchestration.check.pitfalls import DIALECTS
from orchestration.check.portability import check_portability
from orchestration.check.problems import Problem, line_of
from orchestration.check.relations import Describer, Relation, Selected, text_of_name

CLOCK_NODES = (
    exp.CurrentDate, exp.CurrentDatetime, exp.CurrentTime, exp.CurrentTimestamp, exp.CurrentTimestampLTZ, exp.Localtime,
    exp.Localtimestamp, exp.Rand, exp.Randn, exp.Uuid, exp.NextValueFor, exp.TableSample, exp.CurrentUser,
    exp.CurrentSchema, exp.CurrentVersion, exp.SessionUser,
)  # fmt: skip
CLOCK_NAMES = frozenset(
    {
        "now", "today", "get_current_timestamp", "get_current_time", "current_localtime", "current_localtimestamp",
        "current_date", "current_time", "current_timestamp", "transaction_timestamp", "statement_timestamp",
        "clock_timestamp", "localtime", "localtimestamp", "sysdate", "getdate", "unix_timestamp", "timeofday", "random",
        "rand", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "nextval", "currval", "txid_current",
        "current_setting", "getvariable", "getenv", "current_query", "current_user", "current_schema",
        "current_database", "version", "pg_backend_pid",
    }
)  # fmt: skip
TIME_WORDS = frozenset({"now", "today", "tomorrow", "yesterday"})


def check_sql(
    model_name: str,
    sql: str,
    *,
    working_set: Mapping[str, Sequence[Sequence[str]]] = WORKING_SET,
    working_set_columns: Mapping[str, Collection[str]] | None = None,
    row_contract: Sequence[str] = ROW_CONTRACT,
    dialects: Sequence[str] = DIALECTS,
) -> list[Problem]:
    """The problems of one trigger model's compiled DuckDB SQL, in the order of lines; none means it is fine.

    `working_set`: the relations it may read, by the last part of their names, each with its unique keys.
    `working_set_columns`: their columns, where known; without them `select *` outside a CTE hides what a model gives.
    """
    try:
        statements = [tree for tree in sqlglot.parse(wrap_marked(sql), read="duckdb") if tree is not None]
    except (SqlglotError, ValueError) as error:
        return [Problem(model_name, _line_of_error(error), "unreadable", f"{error}")]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return [Problem(model_name, 0, "unreadable", f"a trigger is one query; found {len(statements)} statements")]
    tree = statements[0]
    columns = {text_of_name(name): tuple(map(text_of_name, cols)) for name, cols in (working_set_columns or {}).items()}
    base = {
        text_of_name(name): Relation(columns.get(text_of_name(name)), tuple(frozenset(key) for key in keys))
        for name, keys in working_set.items()
    }
    selects: list[Selected] = []
    given = Describer(base, selects.append).describe(tree)
    problems = [
        *_check_clock(model_name, tree),
        *_check_reading(model_name, tree, base),
        *(problem for selected in selects for problem in check_orderings(model_name, selected)),
        *_check_row_contract(model_name, given, row_contract),
        *check_portability(model_name, tree, selects, dialects),
    ]
    return sorted(dict.fromkeys(problems))


def _line_of_error(error: Exception) -> int:
    found = getattr(error, "errors", None)
    return int(found[0].get("line") or 0) if found else 0


def _check_clock(model: str, tree: exp.Expr) -> Iterator[Problem]:
    fix = "use the columns of the working set: the batch fixed its bounds once, and a rerun must give the same rows"
    for node in tree.walk():
        name = node.name.lower() if isinstance(node, (exp.Anonymous, exp.Column)) else ""
        is_column = isinstance(node, exp.Column)
        if isinstance(node, CLOCK_NODES):
            shown = node.sql("duckdb")[:60]
            yield Problem(model, line_of(node), "clock_or_random", f"{shown} changes by itself; {fix}")
        elif isinstance(node, exp.Anonymous) and (
            name in CLOCK_NAMES or (name == "age" and len(node.expressions) == 1)
        ):
            yield Problem(model, line_of(node), "clock_or_random", f"{name}() changes by itself; {fix}")
        elif is_column and name in ("sysdate", "rowid"):
            yield Problem(model, line_of(node), "clock_or_random", f"{name} changes by itself; {fix}")
        elif isinstance(node, exp.Cast) and node.this.is_string and node.name.strip().lower() in TIME_WORDS:
            yield Problem(model, line_of(node), "clock_or_random", f"'{node.name}' as a time is the clock; {fix}")


def _check_reading(model: str, tree: exp.Expr, allowed: Collection[str]) -> Iterator[Problem]:
    for table in tree.find_all(exp.Table):
        name = text_of_name(table.name)
        is_function = not isinstance(table.this, exp.Identifier)
        if is_function or not (_is_cte(table, name) or name in allowed):
            shown = table.this.sql("duckdb")[:60] if is_function else ".".join(part.name for part in table.parts)
            yield Problem(
                model,
                line_of(table),
                "reads_past_working_set",
                f"reads {shown}; a trigger reads {', '.join(sorted(allowed))} and its own CTEs, nothing else: what it "
                "needs must be in the working set, or late events will not reach it",
            )


def _is_cte(table: exp.Expr, name: str) -> bool:
    """Whether a CTE of that name is visible there: defined before, in this query or around it."""
    if table.args.get("db"):
        return False
    node: exp.Expr | None = table
    while node is not None:
        parent = node.parent
        with_ = parent.args.get("with_") if parent is not None else None
        if isinstance(parent, exp.With):
            before = parent.expressions[: node.index or 0]
            visible = parent.expressions if parent.args.get("recursive") else before
            if any(text_of_name(cte.alias) == name for cte in visible):
                return True
        elif with_ is not None and node is not with_ and any(text_of_name(c.alias) == name for c in with_.expressions):
            return True
        node = parent
    return False


def _check_row_contract(model: str, given: Relation, row_contract: Sequence[str]) -> Iterator[Problem]:
    if given.columns is None:
        fix = "its columns cannot be seen: name them in the last select, or let it select * from a CTE that names them"
        yield Problem(model, 0, "row_contract", fix)
        return
    missing = [column for column in row_contract if column not in given.columns]
    if missing:
        fix = "every trigger gives all columns of the contract: end the model in the macro trigger_rows()"
        yield Problem(model, 0, "row_contract", f"lacks {', '.join(missing)}; {fix}")
