"""The dbt manifest that Dagster draws its graph from."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from dagster_dbt import DbtProject
from filelock import FileLock

from orchestration.errors import ConfigError
from orchestration.settings import PROJECT_DIR, Settings

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
DBT_EXECUTABLE = Path(sys.executable).with_name("dbt")
WATCHED = ("dbt_project", "macros", "seeds", "tests/dbt")
SUFFIXES = {".sql", ".yml", ".yaml", ".csv"}
FINGERPRINT = "fingerprint.txt"


def dagster_target(settings: Settings) -> Path:
    """dbt's artifacts for Dagster: apart from those of `tripline batch`, which dbt rewrites in place while it runs."""
    return settings.dbt_target / "dagster"


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


def prepared_project(settings: Settings) -> DbtProject:
    """The dbt project with a manifest that fits its files; parses (5 to 10 s) where there is none.

    Raises ConfigError with dbt's own words where the project cannot be parsed.
    """
    target = dagster_target(settings)
    target.mkdir(parents=True, exist_ok=True)
    # The web server, the daemon and every run load the definitions; one of them parses, the others wait.
    with FileLock(target / ".lock"):
        fingerprint = project_fingerprint()
        known = target / FINGERPRINT
        if not (target / "manifest.json").exists() or not known.exists() or known.read_text() != fingerprint:
            _parse(settings, target)
            known.write_text(fingerprint)
    return DbtProject(project_dir=DBT_PROJECT_DIR, target_path=target, profiles_dir=DBT_PROJECT_DIR)


def _parse(settings: Settings, target: Path) -> None:
    """Parses beside the target and renames, so that nobody reads half a manifest."""
    draft = target / ".parsing"
    draft.mkdir(exist_ok=True)
    if (target / "partial_parse.msgpack").exists():
        shutil.copy(target / "partial_parse.msgpack", draft)
    places = {"--project-dir": DBT_PROJECT_DIR, "--profiles-dir": DBT_PROJECT_DIR, "--target-path": draft}
    options = [str(word) for place in places.items() for word in place]
    done = subprocess.run(
        [str(DBT_EXECUTABLE), "--quiet", "--no-use-colors", "--log-path", str(draft), "parse", *options],
        env={**os.environ, "TRIPLINE_WAREHOUSE": str(settings.warehouse_path)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ConfigError(f"dbt cannot read the project: {(done.stdout + done.stderr).strip()}", "mend what it names")
    for name in ("partial_parse.msgpack", "manifest.json"):
        if (draft / name).exists():
            (draft / name).replace(target / name)
