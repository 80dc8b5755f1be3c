"""A real `dagster dev` on a small project of two code locations and a dbt project of two models."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import psutil
import pytest
import yaml

from orchestration.commands.dev import is_free
from orchestration.dagster_home import MARKER, dagster_yaml
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.warm.batch import sockets
from orchestration.warm.wire import Message, Unavailable, call
from tests.warm.ui import UI, Run, within

SMALL_PROJECT = Path(__file__).parent / "project"
BIN = Path(sys.executable).parent
FORKED = "Forked a warm worker"
ORDINARY = "This run gets a process of its own, the ordinary way"


def free_port() -> int:
    """Below those that the system gives to connections and servers that ask for any: Dagster takes it seconds later,
    while other tests open hundreds of both."""
    while True:
        port = random.randrange(20_000, 30_000)
        if is_free(port):
            return port


def started_dagster(ui: UI, process: subprocess.Popen[bytes], log: Path, *locations: str, seconds: float) -> None:
    """Fails with the end of its log where it ended, or has not loaded the code locations within `seconds`."""
    deadline = time.monotonic() + seconds
    while not ui.is_up(*locations):
        if process.poll() is not None or time.monotonic() > deadline:
            ended = "is under way" if process.poll() is None else f"ended with {process.returncode}"
            words = log.read_text(errors="replace")[-4_000:]
            pytest.fail(f"Dagster is not up, {ended}; it has {ui.locations()} and says:\n{words}")
        time.sleep(0.1)


class SmallDagster:
    """`folder`: project/ with the code, signals/ for what jobs and tests tell each other, home/ of Tripline."""

    def __init__(self, folder: Path, *locations: str) -> None:
        self.project = folder / "project"
        self.signals = folder / "signals"
        self.warehouse = folder / "small.duckdb"
        self.settings = Settings(home=folder / "home")
        self.locations = locations
        shutil.copytree(SMALL_PROJECT, self.project, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
        self.signals.mkdir()
        self.semaphores: set[str] = set()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TRIPLINE_", "DAGSTER_"))},
            **self.settings.place_variables,
            "DAGSTER_HOME": str(self.settings.dagster_path),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "SMALL_WAREHOUSE": str(self.warehouse),
            "SMALL_SIGNALS": str(self.signals),
            "PYTHONPATH": os.pathsep.join([str(self.project), str(PROJECT_DIR)]),
        }
        self._configure()
        self._parse()

    def _configure(self) -> None:
        config = dagster_yaml(self.settings)
        project = {"project_dir": str(self.project), "profiles_dir": str(self.project)}
        config["run_launcher"] = {
            "module": "faulty_launcher",
            "class": "FaultyLauncher",
            "config": {"watch": [str(self.project)], "dbt": [project], "grace_seconds": 3.0},
        }
        config["run_monitoring"]["poll_interval_seconds"] = 2
        self.settings.dagster_path.mkdir(parents=True)
        (self.settings.dagster_path / "dagster.yaml").write_text(yaml.safe_dump(config))
        assert not config.get(MARKER)
        named = [{"python_module": {"module_name": name, "location_name": name}} for name in self.locations]
        (self.project / "workspace.yaml").write_text(yaml.safe_dump({"load_from": named}))

    def _parse(self) -> None:
        places = ["--project-dir", str(self.project), "--profiles-dir", str(self.project)]
        subprocess.run([str(BIN / "dbt"), "--quiet", "parse", *places], env=self.environment, check=True)

    def start(self) -> None:
        port = free_port()
        self.log = (self.project.parent / "dagster.log").open("ab")
        self.process = subprocess.Popen(
            [str(BIN / "dagster"), "dev", "-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
            cwd=self.project,
            env=self.environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.ui = UI(port)
        started_dagster(self.ui, self.process, Path(self.log.name), *self.locations, seconds=90)

    def interrupt(self) -> None:
        """Ctrl-C in the terminal of `dagster dev`."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=30)
        self.log.close()

    def kill_what_is_left(self) -> None:
        for process in self.processes():
            process.kill()
        self.process.wait(timeout=30)

    def processes(self) -> list[psutil.Process]:
        """All that was started with this project's environment and is alive."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get("SMALL_SIGNALS") == str(self.signals)
                if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def note_semaphores(self) -> None:
        """Which ones its processes have open now: in the end none of them may be left in shared memory. Others that
        are there belong to tests that run beside these."""
        for process in self.processes():
            with suppress(psutil.Error):
                mapped = (Path(one.path).name for one in process.memory_maps() if "/dev/shm/sem." in one.path)
                self.semaphores |= {name.partition(" ")[0] for name in mapped}

    # What a test looks at.

    def templates(self) -> dict[str, Message]:
        """What each template says of itself, by code location."""
        found = {}
        for path in sockets(self.settings):
            try:
                told = call(path, {"op": "about"}, seconds=10)
            except Unavailable:
                continue
            found[told["location"]] = told
        return found

    def template(self, location: str = "first_location") -> Message:
        return within(30, lambda: self.templates().get(location), f"a template of {location}")

    def idle_template(self) -> Message:
        def look() -> Message | None:
            told = self.templates().get("first_location")
            return told if told and not told["running"] and not told["dbt_running"] else None

        return within(30, look, "a template without children")

    def signal(self, name: str) -> None:
        (self.signals / name).touch()

    def waiting(self, run_id: str) -> tuple[int, int]:
        """(process, its parent) of a run of wait_job that has begun."""

        def look() -> tuple[int, int] | None:
            path = self.signals / "waiting"
            lines = path.read_text().splitlines() if path.exists() else []
            return next(
                ((int(words[1]), int(words[2])) for line in lines if (words := line.split())[0] == run_id), None
            )

        return within(60, look, f"the beginning of {run_id}")

    def holder_of_warehouse(self) -> psutil.Process:
        """The process in which dbt is at work on a statement."""

        def look() -> psutil.Process | None:
            for process in self.processes():
                try:
                    if any(file.path == str(self.warehouse) for file in process.open_files()):
                        self.note_semaphores()
                        return process
                except psutil.Error:
                    continue
            return None

        return within(60, look, "dbt at work")

    def assert_warehouse_is_free(self) -> None:
        duckdb.connect(str(self.warehouse)).close()
        assert not self.warehouse.with_name(self.warehouse.name + ".wal").exists()

    def number(self) -> int:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return int(connection.execute("select number from number").fetchall()[0][0])

    def log_text(self) -> str:
        return (self.project.parent / "dagster.log").read_text(errors="replace")

    def model(self, name: str) -> str:
        return (self.project / "models" / f"{name}.sql").read_text()

    def word(self) -> str:
        """What say_job prints."""
        return (self.project / "words.py").read_text().split('"')[1]

    def run_number(self) -> Run:
        return self.ui.ended(self.ui.launch("number_job"))


def semaphores() -> set[str]:
    return {path.name for path in Path("/dev/shm").glob("sem.*")}


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDagster]:
    dagster = SmallDagster(tmp_path_factory.mktemp("warm"), "first_location", "second_location")
    try:
        dagster.start()
        yield dagster
        dagster.interrupt()  # which test_the_end did already, where it ran
        within(20, lambda: not dagster.processes(), "the end of every process")
        assert dagster.semaphores, "dbt makes some, and none was seen"
        assert not dagster.semaphores & semaphores(), "semaphores are left in shared memory"
    finally:
        dagster.kill_what_is_left()


@pytest.fixture
def dagster(started: SmallDagster) -> Iterator[SmallDagster]:
    """With nothing under way and no signals. What a test edited stays as it is, since each change costs a reload."""
    if started.process.poll() is not None:
        started.start()
    yield started
    started.note_semaphores()
    started.signal("go")
    if "first_location" in started.templates():
        started.idle_template()
    for path in started.signals.iterdir():
        path.unlink()
