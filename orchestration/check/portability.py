"""SQL that will not run the same on Postgres, Spark, Snowflake and BigQuery.

Four nets: what sqlglot itself reports per dialect; functions it does not know, here or in what it wrote; the pitfalls,
which it passes silently; and functions that nobody has compared on all four yet (PORTABLE lists those somebody has).
Calls behind a cross_db marker are rendered per dialect by a macro, so they are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from orchestration.check.markers import without_marked
from orchestration.check.pitfall_finders import SAME_SELECT
from orchestration.check.pitfalls import PITFALLS
from orchestration.check.problems import Problem, line_of
from orchestration.check.relations import Selected, text_of_name

RULE = "not_portable"
CROSS_DB = "put it behind a macro of macros/cross_db, which dbt dispatches per dialect (marker /* cross_db:name */)"

PORTABLE = (
    exp.Abs, exp.And, exp.Case, exp.Cast, exp.Ceil, exp.Coalesce, exp.Count, exp.CountIf, exp.CumeDist, exp.DenseRank,
    exp.Exists, exp.FirstValue, exp.Floor, exp.If, exp.Lag, exp.LastValue, exp.Lead, exp.Left, exp.LogicalAnd,
    exp.LogicalOr, exp.Lower, exp.MD5, exp.Max, exp.Min, exp.NthValue, exp.Ntile, exp.Nullif, exp.Or, exp.PercentRank,
    exp.Rank, exp.Right, exp.Round, exp.RowNumber, exp.StartsWith, exp.Substring, exp.Sum, exp.Trim, exp.Upper,
)  # fmt: skip
"""Functions that mean the same on all four, given what sqlglot writes for them."""


def check_portability(
    model: str, tree: exp.Expr, selects: Sequence[Selected], dialects: Sequence[str]
) -> list[Problem]:
    """What `tree` has that would fail or mean something else on one of `dialects`."""
    _mark_aliases(selects)
    plain = without_marked(tree)
    problems = [*_pitfalls(model, plain, dialects), *_unknown_functions(model, plain, dialects)]
    for dialect in dialects:
        problems += _generated(model, plain, dialect, bool(problems))
    return problems


def _mark_aliases(selects: Sequence[Selected]) -> None:
    """Marks columns that can only be aliases of their own select: no source of known columns has them."""
    for selected in selects:
        columns = [relation.columns for relation in selected.sources.values()]
        if any(names is None for names in columns):
            continue
        given = {name for names in columns for name in names or ()}
        aliases = {text_of_name(item.alias) for item in selected.select.expressions if isinstance(item, exp.Alias)}
        places = [*selected.select.expressions, selected.select.args.get("where")]
        for place in places:
            for column in place.find_all(exp.Column) if place is not None else ():
                name = text_of_name(column.name)
                is_own = column.find_ancestor(exp.Select) is selected.select
                if is_own and not column.table and name in aliases and name not in given:
                    column.meta[SAME_SELECT] = True


def _named(dialects: Sequence[str]) -> str:
    shown = {"postgres": "Postgres", "spark": "Spark", "snowflake": "Snowflake", "bigquery": "BigQuery"}
    return ", ".join(shown.get(dialect, dialect) for dialect in dialects)


def _pitfalls(model: str, tree: exp.Expr, dialects: Sequence[str]) -> Iterator[Problem]:
    for node in tree.walk():
        for pitfall in PITFALLS:
            concerned = [dialect for dialect in dialects if dialect in pitfall.dialects]
            if concerned and pitfall.finds(node):
                text = f"{pitfall.name} ({_named(concerned)}): {pitfall.why}; {pitfall.instead}"
                yield Problem(model, line_of(node), RULE, text)


def _unknown_functions(model: str, tree: exp.Expr, dialects: Sequence[str]) -> Iterator[Problem]:
    explained = {kind for pitfall in PITFALLS for kind in pitfall.nodes}
    for node in tree.find_all(exp.Func):
        if isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc)):
            text = f"{node.name}() is unknown to sqlglot: nobody can say what {_named(dialects)} make of it; {CROSS_DB}"
            yield Problem(model, line_of(node), RULE, text)
        elif not isinstance(node, PORTABLE) and type(node) not in explained:
            shown = node.sql_name().lower()
            said = f"{shown}() has not been compared on {_named(dialects)}"
            yield Problem(model, line_of(node), RULE, f"{said}; {CROSS_DB}, or compare it and add it to PORTABLE")


def _generated(model: str, tree: exp.Expr, dialect: str, has_problems: bool) -> Iterator[Problem]:
    try:
        text = _write(tree, dialect)
    except Exception as error:
        # sqlglot fails on some trees with whatever its code ran into; each is a reason to refuse.
        reason = " ".join(str(error).split()) or type(error).__name__
        line = line_of(_smallest_that_fails(tree, dialect))
        yield Problem(model, line, RULE, f"{_named([dialect])}: {reason}{_hint(reason)}")
        return
    if has_problems:
        return  # what follows would only say the same again
    try:
        again = sqlglot.parse_one(text, read=dialect)
    except SqlglotError as error:
        yield Problem(model, 0, RULE, f"{_named([dialect])} cannot read what sqlglot writes for it: {str(error)[:200]}")
        return
    for node in again.find_all(exp.Anonymous, exp.AnonymousAggFunc):
        said = f"{_named([dialect])} does not know {node.name}(), which sqlglot writes for it"
        yield Problem(model, 0, RULE, f"{said}; {CROSS_DB}")


def _write(tree: exp.Expr, dialect: str) -> str:
    return tree.sql(dialect=dialect, unsupported_level=ErrorLevel.RAISE)


def _smallest_that_fails(tree: exp.Expr, dialect: str) -> exp.Expr:
    """Where in the tree the failure is: follows it down as long as a part fails too."""
    for part in tree.iter_expressions():
        try:
            _write(part, dialect)
        except Exception:
            return _smallest_that_fails(part, dialect)
    return tree


def _hint(reason: str) -> str:
    return "; write `nulls first` after the column" if "NULLS LAST" in reason else ""
