"""The dbt manifest that Dagster draws its graph from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from dagster_dbt import DbtProject
from filelock import FileLock

from orchestration.errors import ConfigError
from orchestration.project_files import project_fingerprint
from orchestration.settings import PROJECT_DIR, Settings

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
DBT_EXECUTABLE = Path(sys.executable).with_name("dbt")
FINGERPRINT = "fingerprint.txt"
MANIFEST_LAYOUT = "1"  # of what is done to the manifest here


def dagster_target(settings: Settings) -> Path:
    """dbt's artifacts for Dagster: apart from those of `tripline batch`, which dbt rewrites in place while it runs."""
    return settings.dbt_target / "dagster"


def prepared_project(settings: Settings) -> DbtProject:
    """The dbt project with a manifest that fits its files; parses (5 to 10 s) where there is none.

    Raises ConfigError with dbt's own words where the project cannot be parsed.
    """
    target = dagster_target(settings)
    target.mkdir(parents=True, exist_ok=True)
    # The web server, the daemon and every run load the definitions; one of them parses, the others wait.
    with FileLock(target / ".lock"):
        fingerprint = project_fingerprint() + MANIFEST_LAYOUT
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
    _name_what_tests_are_about(draft / "manifest.json")
    for name in ("partial_parse.msgpack", "manifest.json"):
        if (draft / name).exists():
            (draft / name).replace(target / name)


def _name_what_tests_are_about(path: Path) -> None:
    """Gives every test that reads several models the one that it judges, the last of them in the graph's order.

    Without that, dagster-dbt shows such a test as a note in the log and not as a check. Done here, in Dagster's own
    copy of the manifest, so that a new test needs no configuration.
    """
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for test in manifest["nodes"].values():
        read = test["depends_on"].get("nodes", [])
        if test["resource_type"] != "test" or test.get("attached_node") or len(read) < 2:
            continue
        models = [name for name in read if name in manifest["nodes"]] or read
        above = {name: _ancestors(name, manifest["parent_map"]) for name in models}
        judged = next(name for name in models if not any(name in above[other] for other in models))
        node = manifest["nodes"].get(judged) or manifest["sources"][judged]
        test["config"].setdefault("meta", {}).setdefault("dagster", {}).setdefault("ref", {"name": node["name"]})
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _ancestors(name: str, parents: dict[str, list[str]]) -> set[str]:
    found: set[str] = set()
    open_names = list(parents.get(name, []))
    while open_names:
        parent = open_names.pop()
        if parent not in found:
            found.add(parent)
            open_names += parents.get(parent, [])
    return found
