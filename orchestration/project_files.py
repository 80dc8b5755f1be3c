"""The files that a build depends on besides events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from orchestration.settings import PROJECT_DIR

WATCHED = ("dbt_project", "macros", "seeds", "tests/dbt")
SUFFIXES = {".sql", ".yml", ".yaml", ".csv"}


def project_fingerprint() -> str:
    """A hash of all that a build depends on besides events: models, macros, seeds, tests, their YAML."""
    digest = hashlib.sha256()
    for path in _watched_files():
        digest.update(f"{path.relative_to(PROJECT_DIR).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _watched_files() -> Iterator[Path]:
    for folder in WATCHED:
        for path in sorted((PROJECT_DIR / folder).rglob("*")):
            parts = path.relative_to(PROJECT_DIR).parts
            if path.suffix in SUFFIXES and not {"target", "logs", "dbt_packages"} & set(parts):
                yield path
