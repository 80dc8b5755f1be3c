"""The marker `/* cross_db:<name> */`: what follows is rendered per dialect by a dispatched macro of macros/cross_db.

A marker stands directly before a call, `name(...)`. The call is wrapped into `cross_db__<name>(...)` before parsing, so
that every rule can see it whatever the parser does with comments. Lines stay where they are.
"""

from __future__ import annotations

import re

from sqlglot import exp

MARKER = re.compile(r"/\*\s*cross_db:(\w+)\s*\*/")
CALL = re.compile(r"\s*\w+\s*\(")
PREFIX = "cross_db__"


def wrap_marked(sql: str) -> str:
    """`sql` with every marked call wrapped. Raises ValueError, naming the line, where no call follows a marker."""
    # From the last to the first, so that a marked call inside another one is wrapped before it.
    for marker in reversed(list(MARKER.finditer(sql))):
        call = CALL.match(sql, marker.end())
        end = _closing(sql, call.end()) if call else None
        if end is None:
            line = sql.count("\n", 0, marker.start()) + 1
            raise ValueError(f"line {line}: the marker {marker.group()} is not followed by a call")
        sql = f"{sql[: marker.start()]}{PREFIX}{marker.group(1)}({sql[marker.end() : end]}){sql[end:]}"
    return sql


def _closing(sql: str, start: int) -> int | None:
    depth, place = 1, start
    while place < len(sql):
        char = sql[place]
        if char in "'\"":
            place = sql.find(char, place + 1)
            if place < 0:
                return None
        depth += {"(": 1, ")": -1}.get(char, 0)
        place += 1
        if depth == 0:
            return place
    return None


def is_marked(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower().startswith(PREFIX)


def unmarked(node: exp.Expr) -> exp.Expr:
    """What a marker stands before, without it; anything else as it is."""
    return node.expressions[0] if is_marked(node) and node.expressions else node


def without_marked(tree: exp.Expr) -> exp.Expr:
    """A copy in which a plain column stands for each marked call: an aggregate where an aggregate must stand."""

    def replace(node: exp.Expr) -> exp.Expr:
        if not is_marked(node):
            return node
        column = exp.column(node.name.lower())
        return exp.Max(this=column) if isinstance(node.parent, (exp.Window, exp.Filter)) else column

    return tree.transform(replace)
