"""A problem that the check found, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Group
from rich.table import Table
from rich.text import Text
from sqlglot import exp


@dataclass(frozen=True, order=True)
class Problem:
    """`line` is the line of the compiled SQL, 1-based; 0 where the problem is the whole model's."""

    model: str
    line: int
    rule: str
    message: str


def line_of(node: exp.Expr) -> int:
    """The line on which `node` begins, as near as the parser remembers: its own, its parts', or what is around it."""
    lines = [part.meta["line"] for part in node.walk() if "line" in part.meta]
    if lines:
        return int(min(lines))
    return line_of(node.parent) if node.parent is not None else 0


def format_problems(problems: Sequence[Problem]) -> Group:
    """A table for a terminal (print it with rich), and a line that says how many."""
    table = Table(show_lines=True)
    for title in ("model", "line", "rule", "what, and what to write instead"):
        table.add_column(title, overflow="fold", no_wrap=title in ("line", "rule"))
    for problem in sorted(problems):
        # Text, not markup: SQL is full of square brackets.
        table.add_row(problem.model, str(problem.line or ""), Text(problem.rule), Text(problem.message))
    count = len(problems)
    if not count:
        return Group(Text("no problems", style="green"))
    return Group(table, Text(f"{count} problem{'' if count == 1 else 's'}", style="red"))


def problems_as_json(problems: Sequence[Problem]) -> str:
    """A JSON array of objects with model, line, rule and message."""
    return json.dumps([asdict(problem) for problem in sorted(problems)], indent=2)
