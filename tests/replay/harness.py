"""A warehouse of its own for each replay: the project copied with its seeds, real loads, real dbt in this process.

Nothing is shared between tests: project, target folder, landing folder and warehouse are under one temporary folder.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode

from orchestration.settings import PROJECT_DIR

QUIET = ("--quiet", "--no-use-colors", "--log-level-file", "none", "--no-version-check", "--no-write-json")

PARSED: dict[Path, Manifest] = {}


@dataclass(frozen=True)
class Project:
    """A copy of what dbt reads. Never edited once it was run: dbt keeps what it has parsed."""

    path: Path

    @property
    def dbt_dir(self) -> Path:
        return self.path / "dbt_project"

    @property
    def places(self) -> list[str]:
        place = ["--project-dir", str(self.dbt_dir), "--profiles-dir", str(self.dbt_dir)]
        return [*place, "--target-path", str(self.path / "target"), *QUIET]

    @property
    def manifest(self) -> Manifest:
        """Parsed once: a third of a small build would be that. It holds the database's name, hence the variable."""
        if self.path not in PARSED:
            with environment(TRIPLINE_WAREHOUSE=str(self.path / "warehouse.duckdb")):
                result = dbtRunner().invoke(["parse", *self.places])
            assert isinstance(result.result, Manifest), result.exception
            PARSED[self.path] = result.result
        return PARSED[self.path]

    def dbt(self, warehouse: Path, *args: str) -> dbtRunnerResult:
        """Run one dbt command in this process and let go of the warehouse again."""
        with environment(TRIPLINE_WAREHOUSE=str(warehouse), TRIPLINE_HOME=str(warehouse.parent)):
            try:
                return dbtRunner(manifest=self.manifest).invoke([*args, *self.places])
            finally:
                DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]

    def models(self) -> list[str]:
        return sorted(node.name for node in self.manifest.nodes.values() if isinstance(node, ModelNode))


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """The process's variables as given, and as they were afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def copy_project(to: Path, changes: Mapping[str, Mapping[tuple[str, ...], str]]) -> Project:
    """The dbt project at `to`, its seeds changed: file -> the row's first cells -> the new value.

    The value of settings.csv and trigger_thresholds.csv is in the column `value`; in a seed without rows, a key is
    appended as a row.
    """
    for name in ("dbt_project", "macros", "seeds", "tests/dbt"):
        shutil.copytree(PROJECT_DIR / name, to / name, ignore=shutil.ignore_patterns("target", "logs"))
    for file, rows in changes.items():
        _change_seed(to / "seeds" / file, dict(rows))
    return Project(to)


def _change_seed(path: Path, changes: dict[tuple[str, ...], str]) -> None:
    with path.open(newline="", encoding="utf-8") as source:
        header, *rows = list(csv.reader(source))
    for row in rows:
        for key in [key for key in changes if tuple(row[: len(key)]) == key]:
            row[header.index("value")] = changes.pop(key)
    rows += [[*key, value] for key, value in changes.items()]
    with path.open("w", newline="", encoding="utf-8") as target:
        csv.writer(target, lineterminator="\n").writerows([header, *rows])


def ask(warehouse: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query, the file closed again."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.execute(query).fetchall()


def copy_warehouse(warehouse: Path, to: Path) -> Path:
    """A copy to be built anew; nobody may hold the file."""
    ask(warehouse, "checkpoint")
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(warehouse, to)
    return to


def write_lines(landing: Path, name: str, lines: Sequence[str]) -> Path:
    """A file that appears complete: written beside and renamed."""
    landing.mkdir(parents=True, exist_ok=True)
    unfinished = landing / f"{name}.tmp"
    unfinished.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return unfinished.rename(landing / name)
