"""Throw-away warehouses built by the real dbt project in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration.dbt import DBT_PROJECT_DIR, invoke
from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.simulate import simulate
from tests.replay.harness import ask

WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")


@dataclass(frozen=True)
class Warehouse:
    """A home of its own with files that wait to be loaded."""

    settings: Settings
    files: list[Path]

    def load_next(self) -> None:
        """The next file as one batch, on the data's own clock, so that old events still fire."""
        report = load_batch(self.settings.warehouse_path, self.settings, replay=True, files=[self.files.pop(0)])
        assert report.batch_id is not None

    def build(self, *options: str, project_dir: Path = DBT_PROJECT_DIR) -> Any:
        """dbtRunner's result of `dbt build` with `options`."""
        return invoke(self.settings, ["build", *options], project_dir=project_dir)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return ask(self.settings.warehouse_path, query)


def failures(result: Any) -> list[str]:
    """What went wrong in a dbt run, in dbt's words."""
    nodes = getattr(result.result, "results", None) or []
    failed = [f"{node.node.name}: {node.message}" for node in nodes if node.status not in ("success", "pass", "no-op")]
    return failed or ([] if result.success else [str(result.exception)])


def make_warehouse(home: Path, *, events: int, files: int) -> Warehouse:
    settings = Settings(home=home, settle_seconds=0)
    simulate(settings.landing_path, events=events, days=3, users=40, files=files, seed=7)
    return Warehouse(settings, sorted(path for path in settings.landing_path.iterdir() if path.is_file()))


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Three files of a simulated shop, none of them loaded yet."""
    return make_warehouse(tmp_path_factory.mktemp("shop"), events=3_000, files=3)


@pytest.fixture(scope="session")
def first_build(shop: Warehouse) -> Any:
    """The very first build of a warehouse, unit tests included, as `dbt build` by hand does it."""
    shop.load_next()
    return shop.build()
