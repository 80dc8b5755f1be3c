"""Loaders in processes of their own, for tests that kill them or run two at once.

python -m tests.streams.loaders killed <home>: a loader killed right after its first statement, one after its second, …,
until one comes to its end; prints how many there were.
python -m tests.streams.loaders loop <home> <batches>: so many batches, one after the other.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import duckdb

from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.sources.declarations import read_declarations
from orchestration.warehouse import connect


class Killing:
    """A connection whose process dies as soon as it has executed so many statements."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, statements: int) -> None:
        self._connection, self._left = connection, statements

    def execute(self, *args: Any, **named: Any) -> Any:
        result = self._connection.execute(*args, **named)
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def killed(settings: Settings) -> int:
    statements = 0
    while True:
        statements += 1
        child = os.fork()
        if child == 0:
            with connect(settings.warehouse_path, wait_seconds=10) as connection:
                load_batch(Killing(connection, statements), settings)  # type: ignore[arg-type]
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return statements


def main() -> None:
    command, home = sys.argv[1], Path(sys.argv[2])
    settings = Settings.all_in(home).model_copy(update={"settle_seconds": 0.0})
    read_declarations(settings.sources_path)  # the client's module is loaded before the forks
    if command == "killed":
        print(killed(settings))
        return
    print("ready", flush=True)
    for _ in range(int(sys.argv[3])):
        load_batch(settings.warehouse_path, settings)


if __name__ == "__main__":
    main()
