"""Whole chains in homes of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_DIR, Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path / "home")
    made.landing_path.mkdir(parents=True)
    return made


@pytest.fixture(scope="session")
def google_files() -> list[Path]:
    """The 31 daily files, not ours to copy: see the README of the folder that TRIPLINE_SHARED_DATA names."""
    folder = Path(os.environ.get("TRIPLINE_SHARED_DATA", PROJECT_DIR.parent / "shared" / "data"))
    files = sorted((folder / "google_merch_store" / "daily").glob("*.parquet"))
    if len(files) != 31:
        pytest.fail(f"the 31 files of google_merch_store/daily are not in {folder}: set TRIPLINE_SHARED_DATA")
    return files
