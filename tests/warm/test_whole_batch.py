"""The project itself under `tripline dev`: the first file that is dropped is a warm run with a warm dbt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchestration.settings import PROJECT_DIR, Settings
from orchestration.simulate import simulate
from orchestration.warehouse import connect
from tests.warm.conftest import FORKED, ORDINARY, free_port, started_dagster
from tests.warm.ui import ENDED, UI, Run, within

pytestmark = pytest.mark.xdist_group("warm")

TRIPLINE = Path(sys.executable).with_name("tripline")
RUNS = "{ runsOrError { ... on Runs { results { id status jobName } } } }"


class Dev:
    """`tripline dev` on a home of its own, nothing arriving by itself."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(home=folder / "home")
        names = [name for name in os.environ if name.startswith(("TRIPLINE_", "DAGSTER_"))]
        self.environment = {name: value for name, value in os.environ.items() if name not in names}
        self.environment |= {
            "TRIPLINE_HOME": str(self.settings.home),
            "TRIPLINE_SETTLE_SECONDS": "0",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }
        port = free_port()
        self.ui = UI(port)
        self.log = (folder / "dev.log").open("wb")
        self.process = subprocess.Popen(
            [str(TRIPLINE), "dev", "--port", str(port), "--rate", "0"],
            cwd=PROJECT_DIR,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
        )

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TRIPLINE), *words], cwd=PROJECT_DIR, env=self.environment, capture_output=True, text=True, timeout=120
        )

    def template(self) -> dict[str, Any] | None:
        told = json.loads(self.command("doctor", "--json").stdout)["warm_runs"]
        return told["templates"][0] if told["templates"] else None

    def drop(self, seed: int) -> None:
        start = datetime.now(UTC) - timedelta(days=2)
        files = simulate(self.settings.home / "arriving", events=500, days=2, users=40, seed=seed, start=start).files
        self.settings.landing_path.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.rename(self.settings.landing_path / f"{seed}-{file.name}")

    def batches(self) -> list[Run]:
        told = self.ui.ask(RUNS)["runsOrError"]["results"]
        return [self.ui.run(run["id"]) for run in told if run["jobName"] == "process_micro_batch_job"]


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    dev = Dev(tmp_path_factory.mktemp("dev"))
    try:
        started_dagster(dev.ui, dev.process, Path(dev.log.name), "orchestration.definitions", seconds=120)
        yield dev
    finally:
        dev.process.send_signal(signal.SIGINT)
        dev.process.wait(timeout=60)
        dev.log.close()


def test_the_first_file_dropped_is_built_by_a_fork_of_the_template_that_was_loaded_meanwhile(dev: Dev) -> None:
    loaded = within(60, dev.template, "a template before there is any run")
    dev.drop(seed=1)

    def look() -> Run | None:
        return next((run for run in dev.batches() if run.status in ENDED), None)

    run = within(120, look, "the end of a batch")
    assert run.status == "SUCCESS", run.messages
    assert run.said(FORKED) and not run.said(ORDINARY)
    template = dev.template()
    assert template is not None
    assert (template["pid"], template["reloads"]) == (loaded["pid"], 0)
    assert template["runs"] >= 1 and template["dbt_commands"] >= 1


def test_a_batch_by_hand_uses_the_dbt_of_the_template(dev: Dev) -> None:
    before = within(60, dev.template, "a template")["dbt_commands"]
    done = dev.command("batch", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["build"]["statuses"]["success"] > 20
    after = dev.template()
    assert after is not None and after["dbt_commands"] > before
    with connect(dev.settings.warehouse_path, wait_seconds=30) as warehouse:
        assert warehouse.execute("select count(*) from batches.finished_builds").fetchall()[0][0] >= 2


def test_ctrl_c_ends_the_template_with_everything_else(dev: Dev) -> None:
    template = within(60, dev.template, "a template")
    dev.process.send_signal(signal.SIGINT)
    assert dev.process.wait(timeout=60) == 0
    assert not Path(f"/proc/{template['pid']}").exists()
    assert list((dev.settings.dagster_path / "warm").glob("*.sock")) == []
