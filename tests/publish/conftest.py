"""A warehouse that three real batches built and published one by one, and a copy of it for each test."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.publish import change
from orchestration.dbt import invoke
from orchestration.load import load_batch
from orchestration.publish import PublishReport, publish
from orchestration.settings import Settings
from orchestration.simulate import simulate
from orchestration.warehouse import connect

BATCHES = 3
MODELS = ["build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]
TABLES = """
    select schema_name, table_name from duckdb_tables()
    where database_name = '{database}' and schema_name <> 'publication' order by all
"""


@dataclass
class Built:
    """A home folder, what each of its publishes said, and how each differed from a file made anew."""

    home: Path
    reports: list[PublishReport]
    differences: list[list[str]]


class Shop:
    """A test's own copy of the built warehouse and its published file."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings(home=home, lock_timeout_seconds=10)
        self.path = self.settings.published_path
        self.batch_id = BATCHES

    def batch(self, users: int = 20) -> None:
        """What one more build leaves behind."""
        self.batch_id += 1
        change(self.settings, self.batch_id, users)

    def publish(self, **options: Any) -> PublishReport:
        return publish(self.settings, **options)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.settings.warehouse_path) as connection:
            return connection.execute(sql).fetchall()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def leftovers(self) -> list[str]:
        """Files beside the published one that a publish made."""
        return sorted(path.name for path in self.path.parent.iterdir() if self.path.name in path.name[1:])


def differences(settings: Settings) -> list[str]:
    """Tables in which the published file is not what a rebuild makes of the same warehouse."""
    anew = Settings(home=settings.home, published=settings.home / "anew.duckdb")
    publish(anew, rebuild=True)
    with duckdb.connect() as connection:
        connection.execute(f"attach '{settings.published_path}' as delta (read_only)")
        connection.execute(f"attach '{anew.published_path}' as whole (read_only)")
        tables = [connection.execute(TABLES.format(database=name)).fetchall() for name in ("delta", "whole")]
        found = [] if tables[0] == tables[1] else [f"{tables[0]} instead of {tables[1]}"]
        for schema, table in tables[1]:
            name = f"{schema}.{table}"
            for one, other in (("delta", "whole"), ("whole", "delta")):
                rows = connection.execute(f"from {one}.{name} except all from {other}.{name}").fetchall()
                found += [f"{name}: only the {one} one has {row}" for row in rows[:3]]
    anew.published_path.unlink()
    return found


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    settings = Settings(home=tmp_path_factory.mktemp("built"))
    settings.landing_path.mkdir()
    simulate(settings.landing_path, events=6000, files=BATCHES, days=20, late_share=0.1, anonymous_share=0.3)
    done = Built(settings.home, [], [])
    for file in sorted(settings.landing_path.glob("*.jsonl")):
        load_batch(settings.warehouse_path, settings, replay=True, files=[file])
        assert invoke(settings, MODELS).success
        done.reports.append(publish(settings))
        done.differences.append(differences(settings))
    return done


@pytest.fixture
def shop(built: Built, tmp_path: Path) -> Shop:
    for name in ("warehouse.duckdb", "published.duckdb"):
        shutil.copy(built.home / name, tmp_path / name)
    return Shop(tmp_path)
