"""Source declarations: YAML files that say how a layout other than Segment's becomes events.

A declaration is code: its expressions run in the warehouse. So they are only read from the project's own
orchestration/sources/ and from the folder in TRIPLINE_SOURCES, never from the landing folder.
"""

from __future__ import annotations

import atexit
import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import duckdb
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from orchestration.errors import ConfigError
from orchestration.sources.collected import SOURCE_NAME, CollectedSource
from orchestration.sources.streams.base import StreamDeclaration

SHIPPED_DIR = Path(__file__).parent
SEGMENT = "segment"
FIELDS = (
    "messageId", "userId", "anonymousId", "type", "event",
    "timestamp", "originalTimestamp", "sentAt", "receivedAt",
)  # fmt: skip
GROUPS = ("properties", "traits", "context")
Format = Literal["jsonl", "csv", "parquet"]


class Declaration(BaseModel):
    """One declared source.

    `files` are patterns of names relative to the landing folder (`*` also crosses folders); `with_columns`
    narrows them to files that have these columns (JSON Lines: these keys in the first line). `columns` maps
    wire fields to DuckDB expressions over the file's columns; for JSON Lines these are `line`, and with
    `explode` also `item` and `item_index` (1-based). `text` is the event text kept, by default the row as JSON.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=SOURCE_NAME)
    kind: Literal["files"] = "files"
    files: list[str] = Field(min_length=1)
    format: Format
    is_paused: bool = False
    stalled_after_seconds: float | None = Field(default=None, gt=0)
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    with_columns: list[str] = []
    explode: str | None = None
    text: str | None = None
    columns: dict[str, str]
    path: Path = Path()

    @field_validator("files", mode="before")
    @classmethod
    def _one_pattern_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, value: str) -> str:
        if value == SEGMENT:
            raise ValueError("'segment' is the built-in source, which takes every file that no declaration claims")
        return value

    @field_validator("delimiter")
    @classmethod
    def _delimiter_is_a_byte(cls, value: str) -> str:
        if not value.isascii() or value in '"\r\n':
            raise ValueError("must be one ASCII character, not a quote or a line end")
        return value

    @field_validator("explode", "text")
    @classmethod
    def _is_an_expression(cls, value: str | None) -> str | None:
        if value is not None:
            check_expression(value)
        return value

    @field_validator("columns")
    @classmethod
    def _columns_are_wire_fields(cls, value: dict[str, str]) -> dict[str, str]:
        for field, expression in value.items():
            group, _, key = field.partition(".")
            if field not in FIELDS and not (group in GROUPS and key):
                raise ValueError(
                    f"{field!r} is no wire field; there are {', '.join(FIELDS)} and "
                    f"{', '.join(f'{name}.<key>' for name in GROUPS)}"
                )
            try:
                check_expression(expression)
            except ValueError as error:
                raise ValueError(f"{field!r}: {error}") from error
        for needed, why in ((("messageId",), "tells events apart"), (("userId", "anonymousId"), "says whose it is")):
            if not set(needed) & set(value):
                raise ValueError(f"{' or '.join(needed)} is missing, which {why}")
        nested = [field for field in value if any(other.startswith(field + ".") for other in value)]
        nested = [field for field in nested if field.startswith("context.")]
        if nested:
            raise ValueError(f"{nested[0]!r} is mapped, and so is a key inside it: map one or the other")
        return value

    def claims(self, file_name: str) -> bool:
        return any(fnmatchcase(file_name, pattern) for pattern in self.files)

    @cached_property
    def tree(self) -> dict[str, Any]:
        """Wire fields nested as in an event; leaves are the positions of their expressions in `columns`."""
        tree: dict[str, Any] = {}
        for position, field in enumerate(self.columns):
            group, _, key = field.partition(".")
            # A context is nested to any depth, a property's name may hold dots of its own.
            steps = field.split(".") if group == "context" else [part for part in (group, key) if part]
            branch = tree
            for step in steps[:-1]:
                branch = branch.setdefault(step, {})
            branch[steps[-1]] = position
        return tree


Source = Declaration | CollectedSource | StreamDeclaration
KINDS = ("files", "collector", "kafka", "kinesis")


def _kind(name: str) -> type[Declaration] | type[CollectedSource] | type[StreamDeclaration]:
    # Their clients are loaded where there is such a source only.
    if name == "kafka":
        from orchestration.sources.streams.kafka import KafkaSource

        return KafkaSource
    if name == "kinesis":
        from orchestration.sources.streams.kinesis import KinesisSource

        return KinesisSource
    return CollectedSource if name == "collector" else Declaration


def check_expression(expression: str) -> None:
    """Raises ValueError unless `expression` is one DuckDB expression, by DuckDB's own parser."""
    parsed = json.loads(_parse(f"select try({expression}\n)"))
    if parsed["error"]:
        raise ValueError(f"not an SQL expression: {parsed['error_message']}")
    node = parsed["statements"][0]["node"] if len(parsed["statements"]) == 1 else {}
    if len(node.get("select_list", [])) != 1 or node.get("from_table", {}).get("type") != "EMPTY":
        raise ValueError("must be one SQL expression, without `from` and without commas outside brackets")


@cache
def _parse(statement: str) -> str:
    row = _parser().execute("select json_serialize_sql(?::varchar)", [statement]).fetchone()
    return str(row[0]) if row else ""


@cache
def _parser() -> duckdb.DuckDBPyConnection:
    # A connection of its own, in memory: a declaration is read where no warehouse may be open. Starting one
    # takes 30 ms.
    connection = duckdb.connect(config={"threads": 1})
    # DuckDB complains at the interpreter's end about connections that are still there.
    atexit.register(_parser.cache_clear)
    return connection


def read_declarations(own_dir: Path | None) -> list[Source]:
    """All declarations, a project's own first (they also replace a shipped one of the same name), then by name.

    Raises ConfigError naming file and line.
    """
    found: dict[str, Source] = {}
    for folder in (own_dir, SHIPPED_DIR):
        here: dict[str, Source] = {}
        for path in _yaml_files(folder):
            for declaration in read_file(path):
                if declaration.name in here:
                    raise ConfigError(
                        f"{path} declares the source {declaration.name!r}, and so does {here[declaration.name].path}",
                        "give one of them another name",
                    )
                here[declaration.name] = declaration
        found = {**here, **found} if not found else {**found, **{k: v for k, v in here.items() if k not in found}}
    return list(found.values())


def read_kinds(own_dir: Path | None) -> dict[str, str]:
    """The kind of each declared source by its name, as far as the files can be read; what else they say is not looked
    at, and no DuckDB is opened."""
    found: dict[str, str] = {}
    for folder in (own_dir, SHIPPED_DIR):
        for path in _yaml_files(folder):
            try:
                documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
            except (OSError, yaml.YAMLError, UnicodeDecodeError):
                continue  # reading the declaration says what is wrong
            for content in documents:
                name = content.get("name") if isinstance(content, dict) else None
                if isinstance(name, str) and re.fullmatch(SOURCE_NAME, name):
                    found.setdefault(name, str(content.get("kind", "files")))
    return found


def _yaml_files(folder: Path | None) -> Iterator[Path]:
    if folder and folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.suffix in (".yml", ".yaml"))


def read_file(path: Path) -> list[Source]:
    """The declarations of a file, one in each of its YAML documents. Raises ConfigError naming the file, the line and
    the key."""
    try:
        text = path.read_text(encoding="utf-8")
        documents = list(zip(yaml.compose_all(text), yaml.safe_load_all(text), strict=True))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not YAML: {error}", "mend the file") from error
    # Nothing between two lines of dashes is no declaration; nothing at all is a mistake.
    filled = [_read_document(path, root, content) for root, content in documents if content is not None]
    return filled or [_read_document(path, None, None)]


def _read_document(path: Path, root: yaml.Node | None, content: Any) -> Source:
    if not isinstance(content, dict):
        line = root.start_mark.line + 1 if root else 1
        raise ConfigError(f"{path}, line {line}: a source declaration is a map", "start with `name:`")
    kind = content.get("kind", "files")
    if kind not in KINDS:
        line = _line_of(root, ["kind"])
        raise ConfigError(f"{path}, line {line}, kind: {kind!r} is none of {', '.join(KINDS)}", "name one of them")
    try:
        return _kind(kind).model_validate({**content, "path": path})
    except ValidationError as error:
        first = error.errors()[0]
        location = [str(part) for part in first["loc"]]
        message = first["msg"].removeprefix("Value error, ")
        if location == ["columns"]:
            # The name it begins with is the key; it stands in the message's head already.
            location += re.findall(r"^'([\w.]+)'", message)
            message = re.sub(r"^'[\w.]+': ", "", message)
        line = _line_of(root, location)
        key = ".".join(location) or "the file"
        raise ConfigError(
            f"{path}, line {line}, {key}: {message}", "see the declarations shipped in orchestration/sources/"
        ) from error


def _line_of(node: yaml.Node | None, location: list[str]) -> int:
    """The 1-based line of the deepest key of `location` that is in the file."""
    line = node.start_mark.line + 1 if node else 1
    for step in location:
        if not isinstance(node, yaml.MappingNode):
            break
        pairs = [(key, value) for key, value in node.value if key.value == step]
        if not pairs:
            break
        line = pairs[0][0].start_mark.line + 1
        node = pairs[0][1]
    return line
