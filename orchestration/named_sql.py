"""Running the statements of a named SQL file, with parameters for values and words for names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from orchestration.warehouse import read_sql


def run_sql(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    values: Mapping[str, Any] | None = None,
    words: Mapping[str, str] | None = None,
) -> int:
    """Runs each statement of orchestration/sql/<name>.sql with those of `values` that it names.

    `words` fill in its {braces}: identifiers and conditions, which cannot be parameters. Returns the sum of the
    counts that the statements answer with: rows written, or what a `select count(*)` finds.
    """
    sql = read_sql(name).format(**words) if words else read_sql(name)
    total = 0
    for statement in connection.extract_statements(sql):
        used = {key: (values or {})[key] for key in statement.named_parameters}
        total += sum(row[0] for row in connection.execute(statement, used).fetchall())
    return total


def fetch_sql(connection: duckdb.DuckDBPyConnection, name: str) -> list[tuple[Any, ...]]:
    """All rows of a file that is one query."""
    return connection.execute(read_sql(name)).fetchall()


def identifier(*names: str) -> str:
    """Names as SQL writes them, joined by dots."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def literal(text: str | Path) -> str:
    """Text as SQL writes it, where a parameter is not allowed."""
    return "'" + str(text).replace("'", "''") + "'"
