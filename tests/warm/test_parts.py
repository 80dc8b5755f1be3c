"""The parts of warm runs, each by itself."""

from __future__ import annotations

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from orchestration.dagster_home import dagster_yaml
from orchestration.settings import Settings
from orchestration.warm import watch
from orchestration.warm.places import (
    LONGEST_SOCKET_PATH,
    Place,
    Spec,
    note_fallback,
    place_of,
    read_fallback,
)
from orchestration.warm.reaching import Templates
from orchestration.warm.wire import NoAnswer, Unavailable, call, connected, receive
from tests.warm.ui import within

pytestmark = pytest.mark.xdist_group("warm_units")


TINY = """
import dagster as dg

@dg.op
def nothing(): ...

@dg.job
def a_job():
    nothing()

defs = dg.Definitions(jobs=[a_job])
"""


def spec_of(module: str, folder: Path, *, grace_seconds: float = 0.5) -> Spec:
    from dagster import DagsterInstance
    from dagster._core.code_pointer import CodePointer
    from dagster._serdes import serialize_value

    (folder / "instance").mkdir(exist_ok=True)
    with DagsterInstance.local_temp(str(folder / "instance")) as instance:
        reference = serialize_value(instance.get_ref())
    pointer = serialize_value(CodePointer.from_module(module, "defs", str(folder)))
    return Spec(
        pointer=pointer,
        executable=sys.executable,
        location=module,
        instance_ref=reference,
        watch=[str(folder)],
        grace_seconds=grace_seconds,
    )


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a module `tiny` of one job."""
    (tmp_path / "tiny.py").write_text(TINY)
    return tmp_path


# The template's life.


def test_a_template_goes_when_the_last_that_used_it_has_gone(tiny: Path) -> None:
    templates = Templates(tiny, start_seconds=60)
    place = templates.reach(spec_of("tiny", tiny))
    pid = call(place.socket, {"op": "about"})["pid"]
    time.sleep(1.0)  # longer than its time of grace
    assert call(place.socket, {"op": "about"})["pid"] == pid
    templates.close()
    within(20, lambda: not place.socket.exists(), "its end")


def test_a_launch_in_another_environment_is_not_run_in_the_old_one(tiny: Path) -> None:
    """`make dev` ended and started again has another webhook secret, and the template of before may still be there."""
    templates = Templates(tiny, start_seconds=60)
    spec = spec_of("tiny", tiny)
    place = templates.reach(spec)
    launch = {"op": "launch", "run_id": "r", "arguments": "", "environment": {**os.environ, "TRIPLINE_X": "new"}}
    answer = call(place.socket, launch)
    assert (answer["ok"], answer["retry"]) == (False, True)
    assert "TRIPLINE_X" in answer["why"]
    templates.reach(spec)
    told = call(place.socket, {"op": "about"})
    assert told["history"]["reloads"] == 1
    environment = Path(f"/proc/{told['pid']}/environ").read_bytes().split(b"\0")
    assert b"TRIPLINE_X=new" in environment
    templates.dismiss()
    assert not place.socket.exists()


def test_what_cannot_be_loaded_says_why_and_is_not_tried_again_until_a_file_changes(tiny: Path) -> None:
    (tiny / "tiny.py").write_text("defs = nonsense\n")
    templates = Templates(tiny, start_seconds=60)
    spec = spec_of("tiny", tiny)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(Unavailable, match="name 'nonsense' is not defined"):
            templates.reach(spec)
    assert time.monotonic() - began < 0.5, "the second run waited for the same failure"
    (tiny / "tiny.py").write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    assert templates.reach(spec).socket.exists()
    templates.dismiss()


def test_a_template_with_a_thread_is_not_used(tiny: Path) -> None:
    with (tiny / "tiny.py").open("a") as file:
        file.write("import threading, time\nthreading.Thread(target=time.sleep, args=[60], daemon=True).start()\n")
    templates = Templates(tiny, start_seconds=60)
    with pytest.raises(Unavailable, match="2 threads are alive after loading"):
        templates.reach(spec_of("tiny", tiny))


def test_a_template_that_takes_too_long_is_waited_for_once_and_is_the_only_one(tiny: Path) -> None:
    with (tiny / "tiny.py").open("a") as file:
        file.write("import pathlib, os, time\n(pathlib.Path(__file__).parent / f'loading-{os.getpid()}').touch()\n")
        file.write("while not pathlib.Path(__file__).with_name('go').exists(): time.sleep(0.02)\n")
    spec = spec_of("tiny", tiny, grace_seconds=30)
    first, second = Templates(tiny, start_seconds=3), Templates(tiny, start_seconds=3)
    with pytest.raises(Unavailable, match="not ready after 3 s"):
        first.reach(spec)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="still loading"):
        second.reach(spec)
    assert time.monotonic() - began < 2.5, "the second run waited as long as the first"
    (tiny / "go").touch()
    patient = Templates(tiny, start_seconds=60)
    place = patient.reach(spec)
    assert [path.name for path in tiny.glob("loading-*")] == [f"loading-{call(place.socket, {'op': 'about'})['pid']}"]
    patient.dismiss()


# Talking to it.


def test_a_path_that_is_too_long_for_a_socket_has_a_short_one_that_is_private(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    path = Place(folder, "key").socket
    assert len(os.fsencode(path)) <= LONGEST_SOCKET_PATH
    assert path.parent.stat().st_mode & 0o077 == 0
    assert path == Place(folder, "key").socket != Place(folder, "other").socket


def test_the_folder_of_the_templates_is_for_one_user_alone(tiny: Path) -> None:
    (tiny / "warm").mkdir(mode=0o755)
    assert place_of(tiny, spec_of("tiny", tiny)).folder.stat().st_mode & 0o077 == 0


def test_no_answer_is_told_apart_from_nobody_there(tmp_path: Path) -> None:
    """The first may have been acted upon, the second was not."""
    path = tmp_path / "s"
    with pytest.raises(Unavailable) as nobody:
        call(path, {"op": "launch"})
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        with pytest.raises(NoAnswer):
            call(path, {"op": "launch"}, seconds=0.2)
    assert not isinstance(nobody.value, NoAnswer)


def test_nonsense_does_not_end_the_template(tiny: Path) -> None:
    templates = Templates(tiny, start_seconds=60)
    place = templates.reach(spec_of("tiny", tiny))
    for line in (b"no json\n", b"[]\n", b'{"no": "op"}\n', b'{"op": "launch"}\n', b'{"op": 7}\n', b"half a line"):
        with connected(place.socket, 0.5) as connection:
            connection.sendall(line)
            with suppress(OSError):  # shown out, or still waited for
                assert not receive(connection)["ok"]
        assert call(place.socket, {"op": "about"})["ok"], line
    templates.dismiss()


# What is watched.


def test_every_kind_of_change_is_seen(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    model, seed = tmp_path / "models" / "a.sql", tmp_path / "b.csv"
    model.write_text("select 1")
    seed.write_text("a\n1\n")
    before = watch.snapshot([], [str(tmp_path)])
    assert watch.changed(before, watch.snapshot([], [str(tmp_path)])) == []
    for change in (
        lambda: model.write_text("select 2"),
        lambda: (tmp_path / "models" / "new.yml").touch(),
        seed.unlink,
        lambda: model.rename(model.with_name("c.sql")),
    ):
        change()
        now = watch.snapshot([], [str(tmp_path)])
        assert watch.changed(before, now)
        before = now


def test_what_dbt_writes_beside_its_models_is_no_change(tmp_path: Path) -> None:
    before = watch.snapshot([], [str(tmp_path)])
    for name in ("target", "logs", "__pycache__", ".git"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "written.sql").touch()
    (tmp_path / "model.sql~").touch()
    assert watch.changed(before, watch.snapshot([], [str(tmp_path)])) == []


def test_a_module_added_beside_the_others_is_a_change(tmp_path: Path) -> None:
    module = tmp_path / "a.py"
    module.touch()
    before = watch.snapshot([str(module)], [])
    (tmp_path / "b.py").touch()
    assert watch.changed(before, watch.snapshot([str(module)], [])) == [str(tmp_path / "b.py")]


def test_all_that_dbt_reads_is_watched_by_the_shipped_configuration(tmp_path: Path) -> None:
    from orchestration.project_files import WATCHED
    from orchestration.settings import PROJECT_DIR

    watched = dagster_yaml(Settings(home=tmp_path, warm_runs=True))["run_launcher"]["config"]["watch"]
    assert {str(PROJECT_DIR / name) for name in (*WATCHED, "orchestration")} <= set(watched)


# Turning it off.


def test_one_variable_turns_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLINE_WARM_RUNS", "off")
    config = dagster_yaml(Settings(home=tmp_path))
    assert config["run_launcher"]["class"] == "WatchedRunLauncher"
    assert "event_log_storage" not in config
    monkeypatch.delenv("TRIPLINE_WARM_RUNS")
    on = dagster_yaml(Settings(home=tmp_path))["run_launcher"]["class"] == "WarmRunLauncher"
    assert on == (sys.platform == "linux")


def test_the_last_fallback_is_kept_for_the_doctor_with_how_many_there_were(tmp_path: Path) -> None:
    assert read_fallback(tmp_path) is None
    note_fallback(tmp_path, "run-1", "first")
    note_fallback(tmp_path, "run-2", "second")
    noted = read_fallback(tmp_path)
    assert noted is not None and (noted.run_id, noted.reason, noted.count) == ("run-2", "second", 2)
