"""The command line as somebody meets it: what it prints where, what it ends with, what it leaves alone."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from orchestration.cli import main
from orchestration.commands.demo import MARKER
from orchestration.commands.doctor import doctor
from orchestration.errors import ConfigError
from orchestration.load import load_batch, waiting_files
from orchestration.settings import Settings
from orchestration.simulate import simulate
from orchestration.warehouse import connect

Run = Callable[..., tuple[int, str, str]]
NOBODY = 65534
ACCOUNTS = """
    select
        (select count(*) from raw.events) + (select count(*) from raw.quarantined_events),
        (select sum(events_loaded + events_duplicate + events_quarantined) from raw.load_batches),
        (select count(distinct event_key) = count(*) from raw.events where not is_duplicate)
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs `tripline …` in this process in a home of its own; gives exit code, stdout, stderr."""
    monkeypatch.setenv("TRIPLINE_HOME", str(tmp_path / "home"))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tripline", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capfd.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@contextmanager
def as_somebody_without_rights(folder: Path) -> Iterator[None]:
    """Root reads what nobody may, so a root process becomes nobody for a while."""
    mode = folder.stat().st_mode
    folder.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(NOBODY)
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(mode)


def test_json_is_all_that_stdout_holds_one_line_a_batch_and_a_full_refresh_says_why(run: Run, tmp_path: Path) -> None:
    simulate(tmp_path / "home" / "landing", events=600, files=2, days=10)
    code, out, _ = run("batch", "--replay", "--each-file", "--json")
    batches = [json.loads(line) for line in out.splitlines()]
    assert (code, [batch["load"]["batch_id"] for batch in batches]) == (0, [1, 2])
    assert [batch["full_reason"] for batch in batches] == ["the first build", None]
    assert all(batch["decided"] for batch in batches)
    code, out, _ = run("batch", "--full-refresh")
    # Nothing was decided anew, so nothing is told a second time.
    assert (code, out) == (0, "nothing to load\n  all matches computed anew: a full refresh was asked for\n")


def test_ctrl_c_ends_a_batch_without_a_traceback_and_the_next_one_has_every_event_once(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, settle_seconds=0)
    simulate(settings.landing_path, events=30_000, days=10)
    command = [sys.executable, "-c", "from orchestration.cli import main; main()", "batch", "--replay"]
    environment = {**os.environ, "TRIPLINE_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as batch:
        while not settings.warehouse_path.exists():
            assert batch.poll() is None
            time.sleep(0.01)
        batch.send_signal(signal.SIGINT)
        _, said = batch.communicate()
    assert (batch.returncode, said) == (130, "stopped; the next run takes up what this one left\n")
    load_batch(settings.warehouse_path, settings, replay=True)
    with connect(settings.warehouse_path) as connection:
        ((rows, told, is_once),) = connection.execute(ACCOUNTS).fetchall()
    assert rows == told == 30_000
    assert is_once


def test_a_landing_folder_that_may_not_be_read_is_never_taken_for_an_empty_one(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, settle_seconds=0)
    settings.landing_path.mkdir()
    (settings.landing_path / "a.jsonl").write_text("{}\n")
    with as_somebody_without_rights(settings.landing_path), pytest.raises(ConfigError) as caught:
        waiting_files(settings)
    assert f"{settings.landing_path} cannot be read: Permission denied" in caught.value.message
    assert "TRIPLINE_LANDING" in caught.value.hint


def test_a_file_in_the_place_of_the_landing_folder_is_said_and_the_doctor_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "landing.csv"
    place.write_text("no folder")
    monkeypatch.setenv("TRIPLINE_LANDING", str(place))
    assert run("batch") == (
        2, "", f"error: {place}: File exists\n  see `tripline doctor` for the paths in use and the space left\n"
    )  # fmt: skip
    report = doctor(Settings())
    assert f"{place} cannot be read: Not a directory" in [problem.what for problem in report.problems]
    assert report.versions["duckdb"].startswith("2.")


def test_a_file_that_is_no_database_is_said_in_words_with_a_way_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "warehouse.duckdb").write_bytes(b"no database\n" * 1000)
    code, out, said = run("batch")
    assert (code, out) == (2, "")
    assert "warehouse.duckdb cannot be opened as a warehouse" in said
    assert "tripline restore --force" in said


def test_upgrading_before_there_is_a_warehouse_says_so_and_makes_none(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("upgrade")
    assert code == 0
    assert out.startswith("there is no warehouse yet: ")
    assert not (tmp_path / "home" / "warehouse.duckdb").exists()


def test_a_taken_port_is_refused_before_anything_is_started(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, said = run("dev", "--port", str(port))
    assert code == 2
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert f"tripline dev --port {port + 1}" in said
    assert not (tmp_path / "home").exists()


def test_the_demo_deletes_nothing_that_an_earlier_demo_did_not_leave(run: Run, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "shop" / "photo.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    code, _, said = run("demo", "--home", str(tmp_path / "mine"))
    assert code == 2
    assert "has something else in it" in said
    assert mine.read_bytes() == b"mine"


def test_two_demos_do_not_delete_each_others_shops(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "demo"
    home.mkdir()
    (home / MARKER).touch()
    with FileLock(home / ".lock"):
        code, _, said = run("demo", "--home", str(home))
    assert code == 75
    assert said.startswith(f"error: another demo runs in {home}\n")
