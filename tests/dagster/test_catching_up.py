"""Batches that fail half-way, in a copy of the project that is broken on purpose and runs in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.dagster_home import write_dagster_home
from orchestration.settings import PROJECT_DIR, Settings, get_settings
from orchestration.warehouse import connect
from tests.dagster.conftest import BATCH_JOB, Tick, drop, failure_text

pytestmark = pytest.mark.xdist_group("dagster_copy")

# A batch for every line on the standard input; one process, because loading the definitions takes longer than a run.
RUNNER = f"""
import sys
import dagster as dg
from orchestration.definitions import defs
job = defs().get_job_def("{BATCH_JOB}")
with dg.DagsterInstance.get() as instance:
    for _ in sys.stdin:
        job.execute_in_process(instance=instance, raise_on_error=False)
        print("ended", flush=True)
"""
PARTS = ("dbt_project", "macros", "seeds", "orchestration", "tests/dbt", "pyproject.toml", "dg.toml")


class Copy:
    """A copy of the project with a home of its own."""

    def __init__(self, folder: Path, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.folder = folder
        self.settings = settings
        self.instance = instance

        self.runner = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "DAGSTER_HOME": str(settings.dagster_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run_batch(self) -> dg.DagsterRun:
        """The run, after it ended."""
        assert self.runner.stdin and self.runner.stdout
        self.runner.stdin.write("\n")
        self.runner.stdin.flush()
        assert "ended\n" in self.runner.stdout, "the process died"
        return self.instance.get_runs(limit=1)[0]

    def count(self, sql: str) -> int:
        with connect(self.settings.warehouse_path) as warehouse:
            ((rows,),) = warehouse.execute(f"select count(*) from {sql}").fetchall()
            return int(rows)


@pytest.fixture
def copy(clean_environment: pytest.MonkeyPatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copy]:
    folder = tmp_path / "project"
    unwanted = shutil.ignore_patterns("__pycache__", "target", "logs")
    for part in PARTS:
        source, target = PROJECT_DIR / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=unwanted)
        else:
            shutil.copy(source, target)
    monkeypatch.setenv("TRIPLINE_HOME", str(tmp_path / "home"))
    settings = get_settings()
    with dg.DagsterInstance.from_config(str(write_dagster_home(settings))) as instance:
        copy = Copy(folder, settings, instance)
        yield copy
        copy.runner.kill()
        copy.runner.communicate()


def test_a_batch_that_fails_says_what_to_do_and_the_next_one_catches_up(
    copy: Copy, definitions: dg.Definitions
) -> None:
    drop(copy.settings)
    seed = copy.folder / "seeds" / "triggers.csv"
    good_seed = seed.read_text()
    seed.write_text(good_seed + "no_such_trigger,true,1,86400,3600,come_back\n")
    _fails_by_name_before_anything_is_built(copy)
    seed.write_text(good_seed)

    ledger = copy.folder / "dbt_project" / "models" / "activation" / "trigger_decisions.sql"
    good_ledger = ledger.read_text()
    ledger.write_text(good_ledger.replace("select * from final", "select *, no_such_column from final"))
    _fails_half_way_and_publishes_nothing(copy)
    assert Tick(definitions, copy.instance, f"{BATCH_JOB}_schedule").request, "nobody would catch up"
    ledger.write_text(good_ledger)

    assert copy.run_batch().status is dg.DagsterRunStatus.SUCCESS
    assert copy.count("batches.finished_builds") == 1
    assert copy.count("triggers.trigger_firings") > 0
    key = "(trigger_name, user_id, matched_at)"
    undecided = f"triggers.trigger_matches anti join triggers.trigger_decisions using {key}"
    assert copy.count(f"{undecided} where not is_absence") == 0


def _fails_by_name_before_anything_is_built(copy: Copy) -> None:
    failed = copy.run_batch()
    assert failed.status is dg.DagsterRunStatus.FAILURE
    text = failure_text(copy.instance, failed.run_id)
    assert "no_such_trigger" in text
    assert "mend the rows" in text
    assert copy.count("information_schema.tables where table_name = 'trigger_matches'") == 0
    assert copy.count("raw.events") > 0, "what was loaded is kept"


def _fails_half_way_and_publishes_nothing(copy: Copy) -> None:
    failed = copy.run_batch()
    assert failed.status is dg.DagsterRunStatus.FAILURE
    text = failure_text(copy.instance, failed.run_id)
    assert "no_such_column" in text
    assert "trigger_decisions" in text
    assert "What to do" in text
    assert copy.count("triggers.trigger_matches") > 0, "it was to fail half-way"
    assert copy.count("batches.finished_builds") == 0
    assert copy.instance.get_latest_materialization_event(dg.AssetKey(["published", "query_tables"])) is None
