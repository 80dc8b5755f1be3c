"""When dbt is a fork of the template, and when the real one."""

from __future__ import annotations

import array
import fcntl
import os
import signal
import socket
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from orchestration.errors import BuildFailed
from orchestration.settings import Settings
from orchestration.warm import dbt_runs
from orchestration.warm.batch import dbt_by_template
from orchestration.warm.places import DbtProject
from orchestration.warm.stand_in import stand_in
from orchestration.warm.wire import encode, receive
from tests.warm.ui import within

pytestmark = pytest.mark.xdist_group("warm_units")

HELD = ["--project-dir", "/p", "--profiles-dir", "/f"]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    project = DbtProject(project_dir="/p", profiles_dir="/f")
    variables = {"TRIPLINE_WAREHOUSE": "/w.duckdb", "DBT_TARGET": None}
    monkeypatch.setitem(dbt_runs._held, "/p", dbt_runs.Held(project, None, variables))


FITTING = {"TRIPLINE_WAREHOUSE": "/w.duckdb", "DBT_TARGET_PATH": "/anywhere", "OTHER": "1"}


@pytest.mark.parametrize("words", [["build"], ["--quiet", "run", "--select", "a"], ["build", "--full-refresh"]])
def test_commands_on_the_manifest_that_is_held_are_run_on_it(held: None, words: list[str]) -> None:
    assert dbt_runs.refusal([*words, *HELD], FITTING) is None


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["parse", *HELD], FITTING),
        (["deps", *HELD], FITTING),
        (["build", "--project-dir", "/other"], FITTING),
        (["build"], FITTING),
        (["build", "--project-dir", "/p", "--profiles-dir", "/elsewhere"], FITTING),
        (["build", *HELD, "--vars", "{a: 1}"], FITTING),
        (["build", *HELD, "--vars={a: 1}"], FITTING),
        (["build", *HELD, "--target", "dev"], FITTING),
        (["build", *HELD, "-t", "dev"], FITTING),
        (["build", *HELD, "--state", "/s"], FITTING),
        (["build", *HELD], {**FITTING, "TRIPLINE_WAREHOUSE": "/another.duckdb"}),
        (["build", *HELD], {**FITTING, "DBT_TARGET": "dev"}),
        (["build", *HELD], {**FITTING, "DBT_VARS": "{a: 1}"}),
        (["build", *HELD], {}),
    ],
)
def test_whatever_may_mean_another_manifest_goes_to_the_real_dbt(
    held: None, words: list[str], environment: dict[str, str]
) -> None:
    assert dbt_runs.refusal(words, environment)


@pytest.mark.parametrize("socket_path", [None, "/nowhere/at-all.sock"])
def test_without_a_template_the_stand_in_is_the_real_dbt(tmp_path: Path, socket_path: str | None) -> None:
    real = tmp_path / "real dbt"
    real.write_text('#!/bin/sh\necho "real $*"\nexit 3\n')
    real.chmod(0o755)
    environment = {**os.environ, **({"TRIPLINE_TEMPLATE_SOCKET": socket_path} if socket_path else {})}
    command = [str(stand_in(tmp_path, real)), "build", "--select", "a b"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (3, "real build --select a b\n")
    assert ("a process of its own" in done.stderr) == bool(socket_path)


def test_the_stand_in_passes_on_signals_and_the_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with (
        socket.socket(socket.AF_UNIX) as template,
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as work,
    ):
        template.bind(str(path))
        template.listen()
        environment = {**os.environ, "TRIPLINE_TEMPLATE_SOCKET": str(path)}
        with subprocess.Popen([str(stand_in(tmp_path, Path("/bin/false"))), "build"], env=environment) as client:
            visitor, _ = template.accept()
            assert receive(visitor)["arguments"] == ["build"]
            visitor.sendall(encode({"ok": True, "pid": work.pid}))
            # Between its two reads the client begins to listen to signals.
            try:
                within(10, lambda: _handles(client.pid, signal.SIGINT), "that it listens")
                # Not SIGINT: where the tests were started in the background, `work` would ignore it.
                client.send_signal(signal.SIGTERM)
                assert work.wait(timeout=10) == -signal.SIGTERM
                visitor.sendall(encode({"exit": 2}))
                assert client.wait(timeout=10) == 2
            finally:
                visitor.close()
                work.kill()
                client.kill()


def _handles(pid: int, number: int) -> bool:
    """Whether the process has a handler of its own, which Python's default one for SIGINT is, too: so both signals."""
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    mask = int(caught.split()[1], 16)
    return all(mask >> (one - 1) & 1 for one in (number, signal.SIGTERM))


def test_a_batch_without_a_template_is_built_in_its_own_process(tmp_path: Path) -> None:
    assert dbt_by_template(Settings(home=tmp_path), ["build"], {}) is None


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[socket.socket]:
    """A template of the home in `tmp_path` that a test plays."""
    settings = Settings(home=tmp_path)
    folder = settings.dagster_path / "warm"
    folder.mkdir(parents=True)
    (folder / "abc.json").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "abc.sock"))
        listener.listen()
        yield listener


BATCH = "from orchestration.warm.batch import *; dbt_by_template(Settings(home=Path(sys.argv[1])), ['build'], {})"


def test_ctrl_c_in_a_batch_stops_the_dbt_of_the_template_and_waits_for_its_end(
    tmp_path: Path, fake: socket.socket
) -> None:
    """Or the shell would be back while the warehouse is still held."""
    with (
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as work,
        subprocess.Popen(
            [sys.executable, "-c", f"import sys; {BATCH}", str(tmp_path)], stderr=subprocess.PIPE, text=True
        ) as batch,
    ):
        visitor, _ = fake.accept()
        assert receive(visitor)["arguments"] == ["build"]
        visitor.sendall(encode({"ok": True, "pid": work.pid}))
        is_asleep = psutil.Process(batch.pid).status
        within(10, lambda: _has_read(visitor) and is_asleep() == psutil.STATUS_SLEEPING, "that it waits")
        batch.send_signal(signal.SIGINT)
        assert work.wait(timeout=10)
        assert batch.poll() is None
        visitor.sendall(encode({"exit": 2}))
        _, words = batch.communicate(timeout=10)
        visitor.close()
    assert "KeyboardInterrupt" in words


def _has_read(visitor: socket.socket) -> bool:
    """Whether the other end took all that was sent to it."""
    unread = array.array("i", [0])
    fcntl.ioctl(visitor, termios.TIOCOUTQ, unread)
    return unread[0] == 0


def test_a_batch_whose_template_dies_says_that_nothing_is_lost(tmp_path: Path, fake: socket.socket) -> None:
    def die() -> None:
        visitor, _ = fake.accept()
        receive(visitor)
        visitor.sendall(encode({"ok": True, "pid": 0}))
        visitor.close()

    dying = threading.Thread(target=die)
    dying.start()
    with pytest.raises(BuildFailed, match="its template did") as caught:
        dbt_by_template(Settings(home=tmp_path), ["build"], {})
    dying.join()
    assert "nothing is lost" in caught.value.hint


def test_a_batch_that_the_template_refuses_is_built_in_its_own_process(tmp_path: Path, fake: socket.socket) -> None:
    def refuse() -> None:
        visitor, _ = fake.accept()
        receive(visitor)
        visitor.sendall(encode({"ok": False, "why": "another warehouse"}))
        visitor.close()

    refusing = threading.Thread(target=refuse)
    refusing.start()
    assert dbt_by_template(Settings(home=tmp_path), ["build"], {}) is None
    refusing.join()
