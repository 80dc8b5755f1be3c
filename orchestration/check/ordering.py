"""Orderings must be total: rows that tie come in any order, and another one on the next run or platform.

Sound because it only accepts what it can prove. A key of the rows that are ordered must be among the columns ordered
(or partitioned, or grouped) by. Keys that are known: those of the working set; the grouping columns of a grouped CTE
and all columns of a distinct one, as long as they are handed on; for a join the keys of both sides, or of one side
where the other is looked up by its key.
Exempt, because ties cannot change the answer: rank and dense_rank; sums, counts, minima, maxima over RANGE frames
(tying rows share the frame) or the whole partition; first_value and last_value of what is ordered by; lists ordered
by what they list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from orchestration.check.contract import EVENT_KEY
from orchestration.check.markers import unmarked
from orchestration.check.problems import Problem, line_of
from orchestration.check.relations import RowKey, Selected, text_of

BY_PLACE = (exp.RowNumber, exp.Ntile, exp.Lag, exp.Lead, exp.NthValue, exp.FirstValue, exp.LastValue)
ENDS = (exp.FirstValue, exp.LastValue)
LISTS = (exp.ArrayAgg, exp.GroupConcat, exp.First, exp.Last, exp.ArrayConcatAgg, exp.JSONArrayAgg)
PICKS = (exp.AnyValue, exp.Mode, exp.ArgMin, exp.ArgMax)

RULE = "ordering_not_unique"
FIX = (
    f"end the ordering in a column that is unique, `{EVENT_KEY}`; or order a CTE that was grouped by the partition's "
    "and the ordering's columns, so that they are unique in it"
)


def check_orderings(model: str, selected: Selected) -> list[Problem]:
    """The orderings of one select that leave ties open."""
    return [Problem(model, line_of(node), RULE, f"{what}; {FIX}") for node, what in _open_ties(selected)]


def _open_ties(selected: Selected) -> Iterator[tuple[exp.Expr, str]]:
    select = selected.select
    in_windows: set[int] = set()
    for window in _own(select, exp.Window):
        function = _function(window)
        in_windows.add(id(function))
        found = _window_problem(window, function, selected)
        if found:
            yield window, found
    for node in _own(select, *LISTS, *PICKS):
        if id(node) not in in_windows:
            group = select.args.get("group")
            found = _list_problem(node, selected.source_keys, list(group.expressions) if group else [])
            if found:
                yield node, found
    yield from _select_problems(selected)


def _select_problems(selected: Selected) -> Iterator[tuple[exp.Expr, str]]:
    select = selected.select
    order, distinct = select.args.get("order"), select.args.get("distinct")
    by = [node.this for node in order.expressions] if order else []
    on = distinct.args.get("on") if distinct else None
    keys = () if distinct and not on else selected.row_keys
    if on is not None and not _is_unique(keys, [*by, *on.expressions]):
        yield select, "distinct on keeps any of the rows that tie"
    elif order is not None and not _is_unique(keys, by):
        yield order, "the rows of an `order by` can tie"
    elif order is None and (select.args.get("limit") or select.args.get("offset")):
        yield select.args.get("limit") or select, "`limit` without an ordering keeps any rows"


def _own(select: exp.Select, *types: type[exp.Expr]) -> Iterator[exp.Expr]:
    return (node for node in select.find_all(*types) if node.find_ancestor(exp.Select) is select)


def _function(window: exp.Expr) -> exp.Expr:
    node: exp.Expr = window.this
    while isinstance(node, (exp.Filter, exp.IgnoreNulls, exp.RespectNulls)) or unmarked(node) is not node:
        node = unmarked(node) if unmarked(node) is not node else node.this
    return node


def _name(function: exp.Expr) -> str:
    return function.sql_name().lower() if isinstance(function, exp.Func) else function.key


def _is_unique(keys: Iterable[RowKey], by: Iterable[exp.Expr]) -> bool:
    texts = {text_of(node) for node in by}
    return any(all(atom & texts for atom in key) for key in keys)


def _window_problem(window: exp.Expr, function: exp.Expr, selected: Selected) -> str | None:
    order, spec = window.args.get("order"), window.args.get("spec")
    partition = window.args.get("partition_by") or []
    by = [node.this for node in order.expressions] if order else []
    name = _name(function)
    if isinstance(function, (*LISTS, *PICKS)):
        inner = _list_problem(function, selected.row_keys, partition)
        if inner is None or not order:
            return inner
    if isinstance(function, ENDS) and text_of(function.this) in {text_of(node) for node in by} and not _is_rows(spec):
        return None
    if isinstance(function, BY_PLACE):
        depends = True
    elif isinstance(function, (*LISTS, *PICKS)):
        depends = not isinstance(function.this, exp.Order)
    else:
        depends = bool(order) and _is_rows(spec)
    if not depends or _is_unique(selected.row_keys, [*by, *partition]):
        return None
    return f"{name} depends on the order of rows that tie in its window"


def _is_rows(spec: exp.Expr | None) -> bool:
    """Whether a frame counts rows, and not all of them. RANGE and GROUPS frames keep rows that tie together."""
    if spec is None or str(spec.args.get("kind") or "").upper() != "ROWS":
        return False
    ends = {str(spec.args.get(end) or "").upper() for end in ("start", "end")}
    return ends != {"UNBOUNDED"}


def _list_problem(node: exp.Expr, keys: Iterable[RowKey], grouped: list[exp.Expr]) -> str | None:
    if isinstance(node, PICKS):
        if isinstance(node, (exp.ArgMin, exp.ArgMax)) and _is_unique(keys, [node.expression, *grouped]):
            return None
        return f"{_name(node)} picks any of the rows that tie"
    order = node.this
    if not isinstance(order, exp.Order):
        return f"{_name(node)} without an ordering lists rows as they happen to come"
    by = [ordered.this for ordered in order.expressions]
    listed = order.this.expressions[0] if isinstance(order.this, exp.Distinct) else order.this
    if text_of(listed) in {text_of(one) for one in by} or _is_unique(keys, [*by, *grouped]):
        return None
    return f"{_name(node)} lists rows that tie in any order"
