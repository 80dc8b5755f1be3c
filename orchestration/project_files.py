"""The files that a build depends on besides events."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from orchestration.settings import PROJECT_DIR

WATCHED = ("dbt_project", "macros", "seeds", "tests/dbt")
SUFFIXES = {".sql", ".yml", ".yaml", ".csv"}


def project_fingerprint(project: Path = PROJECT_DIR) -> str:
    """A hash of all that a build depends on besides events: models, macros, seeds, tests, their YAML."""
    digest = hashlib.sha256()
    for path in _watched_files(project):
        digest.update(f"{path.relative_to(project).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _watched_files(project: Path) -> Iterator[Path]:
    for folder in WATCHED:
        for path in sorted((project / folder).rglob("*")):
            parts = path.relative_to(project).parts
            if path.suffix in SUFFIXES and not {"target", "logs", "dbt_packages"} & set(parts):
                yield path
