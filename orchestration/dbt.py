"""Running the dbt project, in this process or by a template that has it loaded."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestration.errors import BuildFailed, ConfigError, WarehouseLocked
from orchestration.project_files import project_fingerprint
from orchestration.seed_files import assert_readable_seeds
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.warehouse import connect, read_sql
from orchestration.warm.batch import dbt_by_template

DBT_PROJECT_DIR = PROJECT_DIR / "dbt_project"
AUDIT_TAG = "audit"  # tests that guard no decision; a job of their own runs them
# Unit tests want a throw-away warehouse: some of them write to the tables they test.
BUILD = ["build", "--exclude-resource-type", "unit_test", "--exclude", f"tag:{AUDIT_TAG}"]
COMPILE = ["compile", "--select"]
# What lasts as long as the project's files are the same, as methods of dbt's: what Dagster leaves out by name.
LASTING = ["resource_type:seed"]
LASTING += [f"path:models/{folder},config.materialized:view" for folder in ("staging", "identity", "triggers")]


def build_without(names: list[str]) -> list[str]:
    """The command BUILD, less some models and seeds."""
    return [*BUILD[:-1], " ".join([BUILD[-1], *names])]


class BuildReport(BaseModel):
    """What dbt did: how many nodes ended in which state, and the seconds it took."""

    model_config = ConfigDict(frozen=True)

    statuses: dict[str, int]
    seconds: float
    failed_tests: list[str] = []


def build(
    settings: Settings,
    *,
    full_refresh: bool = False,
    select: list[str] | None = None,
    project_dir: Path = DBT_PROJECT_DIR,
) -> BuildReport:
    """Seeds, models and the data tests that guard decisions (`dbt build` without unit tests and audits) on the
    warehouse of `settings`.

    Raises ConfigError where a seed row was refused, WarehouseLocked where another process writes, BuildFailed for
    anything else that went wrong; dbt's own words are in the message. A failed data test raises only where a model was
    skipped for it; otherwise everything is built, and the report names it.
    """
    started = time.monotonic()
    fingerprint = project_fingerprint(project_dir.parent)  # before dbt reads the files
    assert_readable_seeds(project_dir.parent / "seeds")
    is_light = not (full_refresh or select) and _built_from(settings) == fingerprint
    arguments = build_without(LASTING) if is_light else list(BUILD)
    arguments.append("--no-write-json")  # a manifest that nobody reads takes as long as a large model
    if full_refresh:
        arguments.append("--full-refresh")
    if select:
        arguments += ["--select", *select]
    done = _run(settings, arguments, project_dir, TRIPLINE_BUILT_FROM=fingerprint)
    statuses: dict[str, int] = {}
    failed_tests: list[str] = []
    errors: list[str] = []
    skipped: list[str] = []
    for node in done["nodes"]:
        status = node["status"]
        statuses[status] = statuses.get(status, 0) + 1
        if status == "fail":
            failed_tests.append(f"{node['name']}: {node['message']}")
        elif status == "error":
            errors.append(f"{node['name']}: {node['message']}")
        elif status == "skipped" and node["kind"] == "model":
            skipped.append(node["name"])
    if skipped and not errors:
        errors = [f"data test failed, so what rests on it was not built: {test}" for test in failed_tests]
    if errors or (done["exception"] is not None) or (not done["success"] and not failed_tests):
        _raise(errors or [str(done["exception"])])
    return BuildReport(statuses=statuses, seconds=time.monotonic() - started, failed_tests=failed_tests)


def invoke(settings: Settings, arguments: list[str], *, project_dir: Path = DBT_PROJECT_DIR) -> Any:
    """dbtRunner's result for `arguments`; every DuckDB connection dbt opened is closed again, or the file stays
    locked to all other processes."""
    # Not needed where a template does the work, and two seconds to import.
    from dbt.cli.main import dbtRunner

    from orchestration.warm.dbt_runs import close_warehouse

    with environment(TRIPLINE_WAREHOUSE=str(settings.warehouse_path)):
        try:
            return dbtRunner().invoke(_words(settings, arguments, project_dir))
        finally:
            close_warehouse()


def _built_from(settings: Settings) -> str | None:
    """The fingerprint of the files that the seeds and views in the warehouse are of; None where that is not known."""
    if not settings.warehouse_path.exists():
        return None
    with connect(settings.warehouse_path, wait_seconds=settings.lock_timeout_seconds) as connection:
        rows = connection.execute(read_sql("built_from")).fetchall()
    return rows[0][0] if rows else None


def _run(settings: Settings, arguments: list[str], project_dir: Path, **variables: str) -> Any:
    """What dbt_runs.report_of tells. Raises BuildFailed where a template died."""
    words = _words(settings, arguments, project_dir)
    done = dbt_by_template(settings, words, {"TRIPLINE_WAREHOUSE": str(settings.warehouse_path), **variables})
    if done is not None:
        return done
    from orchestration.warm.dbt_runs import report_of

    with environment(**variables):
        return report_of(invoke(settings, arguments, project_dir=project_dir))


def _words(settings: Settings, arguments: list[str], project_dir: Path) -> list[str]:
    command, *rest = arguments
    log_path = settings.home / "logs"
    log_path.mkdir(parents=True, exist_ok=True)
    # Absolute, because a relative project folder spoils dbt's cached seed paths.
    places = {"--project-dir": project_dir, "--profiles-dir": project_dir, "--target-path": settings.dbt_target}
    options = [str(word) for place in places.items() for word in place]
    # What dbt would print is in its log and in what is raised: stdout belongs to the command (--json).
    quiet = ["--quiet", "--log-level", "none", "--log-level-file", log_level(), "--log-path", str(log_path)]
    return [*quiet, command, *options, *rest]


def log_level() -> str:
    """Of dbt's log file: dbt's own, debug, takes a sixth of a micro-batch."""
    return os.environ.get("DBT_LOG_LEVEL_FILE", "info")


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """This process's variables as given, and as they were afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _raise(errors: list[str]) -> None:
    text = "\n".join(errors)
    if "Could not set lock" in text or "Conflicting lock" in text:
        raise WarehouseLocked("dbt could not open the warehouse: another process holds it", "wait for it to end")
    if "in the configuration" in text:
        start = text.index("Nothing was built")
        problems = text[start:].split("\n\n")[0].split("> in macro")[0].rstrip()
        raise ConfigError(problems, "mend the rows; the next batch catches up")
    raise BuildFailed(
        f"dbt could not build: {text}",
        "nothing is lost: the next batch builds from where the last whole build ended. `dbt build` by hand shows more",
    )


@contextmanager
def compile_triggers(*, project_dir: Path = DBT_PROJECT_DIR) -> Iterator[Path]:
    """dbt's target folder with the compiled SQL of the triggers, made in a throw-away warehouse with the project's
    seeds. Raises ConfigError or BuildFailed as `build` does."""
    with tempfile.TemporaryDirectory(prefix="tripline-check-") as folder:
        mine = Settings(home=Path(folder), warehouse=Path(folder) / "warehouse.duckdb")
        with connect(mine.warehouse_path):
            pass
        assert_readable_seeds(project_dir.parent / "seeds")
        # The limits refuse wrong seed rows, which would be told as wrong SQL otherwise.
        for arguments in (["seed"], [*COMPILE, "int_batch__limits"], [*COMPILE, "path:models/triggers"]):
            run_nodes(mine, arguments, project_dir=project_dir)
        yield mine.dbt_target


def run_nodes(settings: Settings, arguments: list[str], *, project_dir: Path = DBT_PROJECT_DIR) -> Sequence[Any]:
    """dbt's result for each node, in the order in which they ran. Raises ConfigError, WarehouseLocked or BuildFailed
    where one did not end well."""
    done = invoke(settings, arguments, project_dir=project_dir)
    if not done.success:
        _raise([str(done.exception)] if done.exception else [str(node.message) for node in done.result.results])
    return list(done.result.results)
