"""A landing folder and a warehouse of its own for every test; real files, nothing patched."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.load import load_batch
from orchestration.load_report import BatchReport
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.warehouse import connect

CLOCK = datetime(2030, 1, 1)


def event(message_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": message_id,
        "userId": "u1",
        "event": "Product Viewed",
        "timestamp": "2024-05-01T10:00:00Z",
        **fields,
    }


class Shop:
    """What a test does with the loader: drop files, load, look at the tables."""

    def __init__(self, settings: Settings, connection: duckdb.DuckDBPyConnection) -> None:
        self.settings = settings
        self.connection = connection

    def drop(self, name: str, content: bytes | str | list[dict[str, Any]]) -> Path:
        """Renamed into place, as a well-behaved producer does."""
        if isinstance(content, list):
            content = "".join(json.dumps(item) + "\n" for item in content)
        path = self.settings.landing_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(self, **options: Any) -> BatchReport:
        return load_batch(self.connection, self.settings, **{"clock": CLOCK, **options})

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, list(values)).fetchall()

    def one(self, sql: str, *values: Any) -> Any:
        return self.rows(sql, *values)[0][0]

    def declare(self, text: str, name: str = "own.yml") -> Path:
        self.settings.sources_path.mkdir(parents=True, exist_ok=True)
        path = self.settings.sources_path / name
        path.write_text(text)
        return path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # Tests load at once: the settling of files has tests of its own.
    made = Settings(home=tmp_path / "home", settle_seconds=0)
    made.landing_path.mkdir(parents=True)
    return made


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    with connect(settings.warehouse_path) as connection:
        yield Shop(settings, connection)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = Path(os.environ.get("TRIPLINE_SHARED_DATA", PROJECT_DIR.parent / "shared" / "data"))
    if not (folder / "google_merch_store" / "daily").is_dir():
        pytest.fail(f"{folder} has no google_merch_store/daily: set TRIPLINE_SHARED_DATA to the folder that has it")
    return folder
