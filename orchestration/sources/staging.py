"""One file into the temporary table load_records, by its format and its source's declaration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestration.errors import InputError
from orchestration.sources.blocks import read_blocks
from orchestration.sources.collected import CollectedSource, source_of_slice
from orchestration.sources.declarations import Declaration, Source
from orchestration.sources.lines import read_lines
from orchestration.sources.records import read_header, read_records
from orchestration.warehouse import read_sql

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".parquet": "parquet"}
DOCUMENTS = ("properties", "traits", "context", "integrations")
PARQUET_ROWS = 250_000


class _SqlTemplate(Template):
    delimiter = "@"


def format_of(file_name: str) -> str | None:
    """By the name's ending, .gz aside (a Parquet file is never zipped); None where nobody knows it."""
    name = file_name.lower()
    known = FORMATS.get(Path(name.removesuffix(".gz")).suffix)
    return None if known == "parquet" and name.endswith(".gz") else known


def declaration_for(path: Path, file_name: str, declarations: list[Source]) -> Declaration | CollectedSource | None:
    """The first declaration that claims the file; None is the built-in source `segment`.

    A slice of the collector is its source's, whatever patterns others declare, and also where nobody declares that
    source any more.
    """
    if collected := source_of_slice(file_name):
        named = [one for one in declarations if isinstance(one, CollectedSource) and one.name == collected]
        return named[0] if named else CollectedSource(name=collected, kind="collector")
    for declaration in declarations:
        if not isinstance(declaration, Declaration) or not declaration.claims(file_name):
            continue
        if not declaration.with_columns:
            return declaration
        if format_of(file_name) in (None, declaration.format) and _has_columns(path, declaration):
            return declaration
    return None


def _has_columns(path: Path, declaration: Declaration) -> bool:
    # A file that cannot be read is claimed by nobody here; reading it will say why.
    try:
        if declaration.format == "parquet":
            names = list(pq.read_schema(path).names)
        elif declaration.format == "csv":
            names = read_header(path, declaration.delimiter)
        else:
            first = next(read_blocks(path, 1024 * 1024), b"").lstrip().split(b"\n", 1)[0]
            line = json.loads(first)
            names = list(line) if isinstance(line, dict) else []
    except (InputError, ValueError, OSError, pa.ArrowException, RecursionError):
        return False
    return set(declaration.with_columns) <= set(names)


def stage_file(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    file_index: int,
    declaration: Declaration | CollectedSource | None,
) -> None:
    """Adds the file's records to load_records.

    Raises InputError where the file as a whole cannot be read; what it added until then is the caller's to delete.
    """
    file_format = declaration.format if declaration else format_of(path.name)
    try:
        if isinstance(declaration, CollectedSource):
            _stage_lines(connection, path, file_index, None, "load_collected")
        elif file_format == "jsonl":
            _stage_lines(connection, path, file_index, declaration, "load_lines")
        elif file_format == "csv":
            _stage_csv(connection, path, file_index, declaration)
        elif file_format == "parquet":
            _stage_parquet(connection, path, file_index, declaration)
        else:
            raise InputError(
                f"nobody knows the ending of {path.name!r}; known are {', '.join(FORMATS)}, and .gz after all but "
                "the last"
            )
    except pa.ArrowException as error:
        raise InputError(f"not readable as {file_format}: {error}") from error
    except duckdb.Error as error:
        where = f" with {declaration.path}" if declaration else ""
        # The second paragraph shows the place in SQL that the file's owner never wrote.
        reason = " ".join(str(error).split("\n\n")[0].split())
        raise InputError(f"not readable{where}: {reason}") from error
    finally:
        connection.unregister("load_chunk")


def _stage_lines(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    file_index: int,
    declaration: Declaration | None,
    wire_lines: str,
) -> None:
    for chunk in read_lines(path):
        connection.register("load_chunk", chunk)
        if declaration is None:
            connection.execute(read_sql(wire_lines), {"file_index": file_index})
            continue
        connection.execute(read_sql("load_bad_lines"), {"file_index": file_index})
        columns, usable = "cast(line as json) as line", "is_utf8 and load_is_json(line)"
        _stage_rows(connection, file_index, declaration, columns, usable, "line")


def _stage_csv(
    connection: duckdb.DuckDBPyConnection, path: Path, file_index: int, declaration: Declaration | None
) -> None:
    delimiter = declaration.delimiter if declaration else ","
    header = read_header(path, delimiter)
    cells = [
        f"{'load_last_field' if position == len(header) - 1 else 'load_field'}(c{position}) as {_quoted(name)}"
        for position, name in enumerate(header)
    ]
    for records in read_records(path, delimiter):
        unreadable = records.good.filter(pc.invert(records.good["is_utf8"])).select(["line_number", "raw"])
        connection.register("load_chunk", pa.concat_tables([records.bad, unreadable]))
        connection.execute(read_sql("load_bad_rows"), {"file_index": file_index})
        connection.register("load_chunk", records.good)
        row = _row_json(header, documents=DOCUMENTS if declaration is None else ())
        usable = "is_utf8 and trim(raw, e' \\t\\r\\n') <> ''"
        _stage_rows(connection, file_index, declaration, ", ".join(cells), usable, row)


def _stage_parquet(
    connection: duckdb.DuckDBPyConnection, path: Path, file_index: int, declaration: Declaration | None
) -> None:
    for first, chunk in _parquet_chunks(path):
        numbers = pa.array(np.arange(first, first + len(chunk), dtype=np.int64))
        connection.register("load_chunk", chunk.append_column("line_number", numbers))
        text = [field.name for field in chunk.schema if pa.types.is_string(field.type)]
        documents = [name for name in DOCUMENTS if name in text] if declaration is None else []
        columns = ", ".join(_quoted(name) for name in chunk.column_names)
        row = _row_json(chunk.column_names, documents=tuple(documents))
        _stage_rows(connection, file_index, declaration, columns, "true", row)


def _parquet_chunks(path: Path) -> Iterator[tuple[int, pa.Table]]:
    try:
        with pq.ParquetFile(path) as file:
            first = 1
            for batch in file.iter_batches(batch_size=PARQUET_ROWS):
                yield first, pa.Table.from_batches([batch])
                first += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"not readable as Parquet: {error}") from error


def _stage_rows(
    connection: duckdb.DuckDBPyConnection,
    file_index: int,
    declaration: Declaration | None,
    file_columns: str,
    usable: str,
    row: str,
) -> None:
    expressions = list(declaration.columns.values()) if declaration else []
    exploded = declaration.explode if declaration else None
    items = f"try(cast(to_json({exploded}) as json[]))" if exploded else "[null]"
    default_text = "item" if exploded else row
    text = f"coalesce(try({declaration.text}), {row})" if declaration and declaration.text else default_text
    statement = _SqlTemplate(read_sql("load_rows")).substitute(
        file_index=file_index,
        file_columns=file_columns,
        usable=usable,
        items=items,
        item="item" if exploded else "tripline_item",
        item_index="item_index" if exploded else "tripline_position",
        text=text,
        row=row,
        mapped="".join(f"try({expression}\n) as w{position},\n" for position, expression in enumerate(expressions)),
        wire=_tree_json(declaration.tree) if declaration else "null",
    )
    connection.execute(statement)


def _row_json(columns: list[str], documents: tuple[str, ...]) -> str:
    readers = {name: "load_document" if name in documents else "load_value" for name in columns}
    return _object([(name, f"{reader}({_quoted(name)})") for name, reader in readers.items()])


def _tree_json(tree: dict[str, Any]) -> str:
    return _object(
        [
            (key, _tree_json(value) if isinstance(value, dict) else f"load_value(w{value})")
            for key, value in tree.items()
        ]
    )


def _object(pairs: list[tuple[str, str]]) -> str:
    # Concatenated: to_json over a struct would print the numbers inside documents anew, 1.10 as 1.1.
    members = [f"{_text(json.dumps(key) + ':')} || coalesce(cast({value} as varchar), 'null')" for key, value in pairs]
    return "('{' || " + " || ',' || ".join(members or ["''"]) + " || '}')"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
