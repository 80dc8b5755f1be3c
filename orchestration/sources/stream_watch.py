"""Whether streams have messages that no batch has read: what a sensor looks at."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field

import duckdb

from orchestration.settings import Settings
from orchestration.sources.declarations import read_declarations
from orchestration.sources.stream_batch import known_positions, reader_of
from orchestration.sources.streams.base import Position, SourceUnavailable, StreamDeclaration, StreamReader
from orchestration.warehouse import connect


@dataclass
class StreamNews:
    """`waiting`: messages by partition, where there are some. `problems`: why streams cannot be asked."""

    waiting: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class StreamWatch:
    """Use as a context manager. Positions are read once: while nothing is loaded they do not change.

    Raises ConfigError for a wrong declaration, WarehouseLocked where the warehouse is held for longer than
    `wait_seconds`.
    """

    def __init__(self, settings: Settings, wait_seconds: float) -> None:
        self._settings, self._wait_seconds = settings, wait_seconds
        declared = read_declarations(settings.sources_path)
        self.sources = [one for one in declared if isinstance(one, StreamDeclaration) and not one.is_paused]
        self._readers: list[tuple[StreamDeclaration, StreamReader, dict[str, Position]]] = []
        self._stack = ExitStack()

    def __enter__(self) -> StreamWatch:
        if self.sources:
            known = self._known()
            for source in self.sources:
                reader = self._stack.enter_context(closing(reader_of(source)))
                self._readers.append((source, reader, known[source.name]))
        return self

    @property
    def positions(self) -> list[tuple[str, str]]:
        """Up to where each partition was read."""
        return sorted((name, at.position) for _, _, known in self._readers for name, at in known.items())

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def look(self) -> StreamNews:
        news = StreamNews()
        for source, reader, known in self._readers:
            try:
                found = reader.waiting(known)
            except SourceUnavailable as error:
                news.problems.append(error.message)
                continue
            news.waiting |= {f"{source.name}:{name}": count for name, count in found.items() if count}
        return news

    def _known(self) -> dict[str, dict[str, Position]]:
        names = [source.name for source in self.sources]
        if not self._settings.warehouse_path.exists():
            return {name: {} for name in names}
        with connect(self._settings.warehouse_path, read_only=True, wait_seconds=self._wait_seconds) as warehouse:
            try:
                return {name: known_positions(warehouse, name) for name in names}
            except duckdb.CatalogException:  # nothing was ever loaded
                return {name: {} for name in names}
