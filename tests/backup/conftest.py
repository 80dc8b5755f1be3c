"""A shop that has lived: two batches loaded, built and pushed to a platform; a third one still to come."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from orchestration.dbt import invoke
from orchestration.load import load_batch
from orchestration.platform import CampaignPlatform
from orchestration.push import push
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.simulate import simulate

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MODELS = ["build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"]


def settings_of(home: Path, platform: CampaignPlatform) -> Settings:
    return Settings(home=home, webhook_url=platform.hook_url, webhook_secret=SecretStr(SECRET), lock_timeout_seconds=5)


def ask(warehouse: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse)) as connection:
        return connection.execute(sql).fetchall()


@dataclass
class Lived:
    """The original: never changed by a test."""

    settings: Settings
    platform: CampaignPlatform
    seeds: Path
    next_file: Path

    def batch(self, settings: Settings, file: Path | None = None) -> None:
        if file:
            load_batch(settings.warehouse_path, settings, replay=True, files=[file])
        assert invoke(settings, MODELS).success

    def push(self, settings: Settings) -> int:
        """Rows delivered."""
        report = push(settings)
        report.raise_problems()
        return report.delivered

    def elsewhere(self, home: Path) -> Settings:
        """A home that is empty but for what dbt has parsed, which only saves time."""
        home.mkdir(parents=True)
        shutil.copytree(self.settings.dbt_target, home / "dbt_target")
        return settings_of(home, self.platform)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    home = tmp_path_factory.mktemp("lived")
    shutil.copytree(PROJECT_DIR / "seeds", home / "seeds")
    with CampaignPlatform(home / "received.jsonl", SECRET) as platform:
        settings = settings_of(home / "home", platform)
        settings.landing_path.mkdir(parents=True)
        simulate(settings.landing_path, events=6000, files=3, days=20, late_share=0.1)
        first, second, third = sorted(settings.landing_path.glob("*.jsonl"))
        (home / "later").mkdir()
        lived = Lived(settings, platform, home / "seeds", third.rename(home / "later" / third.name))
        second.write_text(second.read_text() + "no JSON\n")
        for file in (first, second):
            lived.batch(settings, file)
        assert lived.push(settings) > 0
        yield lived
