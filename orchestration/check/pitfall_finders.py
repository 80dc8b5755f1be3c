"""How the pitfalls are found in a tree: functions from a node to whether it is one."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

PORTABLE_TYPES = frozenset(
    {
        exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.BOOLEAN, exp.DType.INT, exp.DType.BIGINT, exp.DType.DECIMAL,
        exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ,
    }
)  # fmt: skip

SAME_SELECT = "is_alias_of_same_select"
"""Set in a node's meta by the portability rule, which knows the sources' columns."""


def is_of(*types: type[exp.Expr]) -> Callable[[exp.Expr], bool]:
    return lambda node: type(node) in types


def is_join_kind(*kinds: str) -> Callable[[exp.Expr], bool]:
    def find(node: exp.Expr) -> bool:
        found = {str(node.args.get(part) or "").upper() for part in ("kind", "method", "side")}
        return isinstance(node, exp.Join) and bool(found & set(kinds))

    return find


def is_qualify(node: exp.Expr) -> bool:
    return isinstance(node, exp.Qualify)


def is_distinct_on(node: exp.Expr) -> bool:
    return isinstance(node, exp.Distinct) and node.args.get("on") is not None


def is_union_by_name(node: exp.Expr) -> bool:
    return isinstance(node, exp.SetOperation) and bool(node.args.get("by_name"))


def is_recursive(node: exp.Expr) -> bool:
    return isinstance(node, exp.With) and bool(node.args.get("recursive"))


def is_row_value(node: exp.Expr) -> bool:
    """A list of values in `in (...)`, rows of `values` and the columns of `distinct on` are none."""
    is_list = isinstance(node.parent, (exp.Values, exp.In)) or node.arg_key == "on"
    return isinstance(node, exp.Tuple) and not is_list


def is_distinct_over_window(node: exp.Expr) -> bool:
    found = node.this.find_all(exp.Distinct) if isinstance(node, exp.Window) else ()
    return any(part.find_ancestor(exp.Window) is node for part in found)


def is_interval_frame(node: exp.Expr) -> bool:
    return isinstance(node, exp.WindowSpec) and any(
        isinstance(node.args.get(end), exp.Interval) for end in ("start", "end")
    )


def is_groups_frame(node: exp.Expr) -> bool:
    return isinstance(node, exp.WindowSpec) and str(node.args.get("kind") or "").upper() == "GROUPS"


def is_aggregate_filtered_over_window(node: exp.Expr) -> bool:
    return isinstance(node, exp.Window) and isinstance(node.this, exp.Filter)


def is_named_window(node: exp.Expr) -> bool:
    return isinstance(node, exp.Window) and (node.args.get("alias") is not None or node.arg_key == "windows")


def is_grouping_by_all(node: exp.Expr) -> bool:
    return isinstance(node, exp.Group) and bool(node.args.get("all"))


def is_order_by_all(node: exp.Expr) -> bool:
    return isinstance(node, exp.Ordered) and node.this.sql("duckdb").upper() == "ALL"


def is_star_with_changes(node: exp.Expr) -> bool:
    return isinstance(node, exp.Star) and any(node.args.get(part) for part in ("except_", "replace", "rename"))


def is_boolean_test(node: exp.Expr) -> bool:
    return isinstance(node, exp.Is) and isinstance(node.expression, exp.Boolean)


def is_materialized(node: exp.Expr) -> bool:
    return isinstance(node, exp.CTE) and node.args.get("materialized") is not None


def is_trailing_percent(node: exp.Expr) -> bool:
    return isinstance(node, exp.LimitOptions) and bool(node.args.get("percent"))


def is_count_of_nothing(node: exp.Expr) -> bool:
    return isinstance(node, exp.Count) and node.this is None and not node.expressions


def is_unportable_cast(node: exp.Expr) -> bool:
    """Unknown types, and those that are not the same everywhere. A list of text is what evidence is."""
    if not isinstance(node, exp.DataType) or isinstance(node.parent, exp.DataType):
        return False
    inner = node.expressions[0] if node.this == exp.DType.ARRAY and node.expressions else node
    return not (isinstance(inner, exp.DataType) and inner.this in PORTABLE_TYPES)


def is_alias_of_same_select(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and bool(node.meta.get(SAME_SELECT))
