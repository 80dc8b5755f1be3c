"""tripline doctor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from orchestration.commands.diagnosis import DoctorReport
from orchestration.commands.doctor import doctor, path_of, run
from orchestration.commands.doctor_view import render
from orchestration.errors import ConfigError
from orchestration.load import load_batch
from orchestration.settings import Settings
from orchestration.warehouse import connect
from orchestration.warm.places import note_fallback
from tests.commands.conftest import copy_of, held

pytestmark = pytest.mark.xdist_group("commands")
SECRET = "whsec_c2VjcmV0IG5vYm9keSBtYXkgc2Vl"


def problems(report: DoctorReport) -> str:
    return "\n".join(f"{problem.severity}: {problem.what} -> {problem.fix}" for problem in report.problems)


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", settle_seconds=0)


@pytest.fixture
def copied(shop: Settings, tmp_path: Path) -> Iterator[Settings]:
    yield copy_of(shop, tmp_path / "copy", "warehouse.duckdb", "published.duckdb")


def test_on_a_machine_where_nothing_is_yet_it_says_how_to_begin_and_is_content(empty: Settings) -> None:
    report = doctor(empty)
    assert report.ok
    assert not empty.home.exists()
    assert report.lock.state == "missing"
    assert "there is no warehouse yet" in problems(report)
    assert report.versions["duckdb"].startswith("2.")


def test_a_shop_whose_firings_were_pushed_is_well_and_its_last_batch_is_told(shop: Settings) -> None:
    report = doctor(shop)
    assert report.ok, problems(report)
    assert report.last_batch and report.last_build
    batch = report.last_batch
    assert (batch.batch_id, batch.is_replay, batch.events_quarantined) == (2, True, 1)
    assert batch.events_read == batch.events_loaded + batch.events_duplicate + batch.events_quarantined
    assert report.quarantined == {"not_json": 1}
    assert (report.last_build.built_batch_id, report.last_build.lag_seconds) == (2, 300)
    assert not report.last_build.is_unfinished
    assert report.outbox == []
    assert "1 of " in problems(report) and "are in quarantine: 1 not_json" in problems(report)


def test_a_held_warehouse_names_the_process_and_is_read_from_the_published_database(copied: Settings) -> None:
    with held(copied.warehouse_path) as pid:
        report = doctor(copied)
    assert report.lock.state == "locked"
    assert report.lock.holder and report.lock.holder.pid == pid
    assert "sys.stdin.read()" in report.lock.holder.command
    assert report.read_from == "published"
    assert report.last_batch and report.last_batch.batch_id == 2
    assert f"the warehouse is held by process {pid}" in problems(report)
    assert report.ok


def test_a_held_warehouse_with_nothing_published_is_no_crash(copied: Settings) -> None:
    copied.published_path.unlink()
    with held(copied.warehouse_path):
        report = doctor(copied)
    assert (report.lock.state, report.last_batch) == ("locked", None)


def test_a_file_that_is_no_database_is_a_problem_with_a_way_out(empty: Settings) -> None:
    empty.home.mkdir()
    empty.warehouse_path.write_text("not a database " * 1_000)
    report = doctor(empty)
    assert not report.ok
    assert report.lock.state == "unreadable"
    assert "tripline restore" in problems(report)


def test_a_loaded_batch_that_was_not_built_is_a_problem(copied: Settings) -> None:
    with connect(copied.warehouse_path) as connection:
        connection.execute(
            "insert into raw.load_batches select * replace (3 as batch_id) from raw.load_batches where batch_id = 2"
        )
    report = doctor(copied)
    assert not report.ok
    assert report.last_build and report.last_build.is_unfinished
    assert "problem: batch 3 is loaded, but the tables are those of batch 2 -> run `tripline batch`" in problems(report)


def test_a_build_that_broke_off_is_a_problem_even_with_nothing_new_loaded(copied: Settings) -> None:
    with connect(copied.warehouse_path) as connection:
        connection.execute("update batches.int_batch__limits set build_id = 'killed half-way'")
    assert "problem: the last build did not end well" in problems(doctor(copied))


def test_a_warehouse_of_another_version_names_the_columns_it_lacks(copied: Settings) -> None:
    with connect(copied.warehouse_path) as connection:
        connection.execute("alter table raw.loaded_files drop column bytes")
    report = doctor(copied)
    assert report.missing_columns == ["raw.loaded_files.bytes"]
    assert "run `tripline upgrade`" in problems(report)


def test_firings_that_wait_for_a_platform_nobody_named_are_a_problem(copied: Settings) -> None:
    with connect(copied.warehouse_path) as connection:
        connection.execute("delete from triggers.campaign_deliveries")
    report = doctor(copied)
    assert not report.ok
    assert report.outbox[0].destination == "webhook" and report.outbox[0].status == "new"
    assert "TRIPLINE_WEBHOOK_URL and TRIPLINE_WEBHOOK_SECRET not set" in problems(report)


def test_firings_that_wait_for_long_although_the_platform_is_known_are_a_problem(copied: Settings) -> None:
    with connect(copied.warehouse_path) as connection:
        connection.execute("delete from triggers.campaign_deliveries")
    known = Settings(home=copied.home, webhook_url="http://127.0.0.1:9/hook", webhook_secret=SECRET)
    assert "run `tripline push`" in problems(doctor(known))


def test_the_webhook_secret_is_never_shown(copied: Settings, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPLINE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("TRIPLINE_WEBHOOK_URL", "http://127.0.0.1:9/hook?token=tok-123")
    report = doctor(Settings(home=copied.home))
    render(report, console)
    assert report.environment.is_webhook_secret_set
    assert "TRIPLINE_WEBHOOK_SECRET" in report.environment.variables
    for shown in (report.model_dump_json(), console.export_text()):
        assert SECRET not in shown and "tok-123" not in shown


def test_waiting_and_set_aside_files_are_told_apart(empty: Settings) -> None:
    empty.landing_path.mkdir(parents=True)
    (empty.landing_path / "bad.jsonl.gz").write_bytes(b"\x1f\x8b no gzip")
    load_batch(empty.warehouse_path, empty)
    (empty.landing_path / "more.jsonl").write_text("{}\n")
    (empty.landing_path / "half.jsonl.part").write_text("{")
    report = doctor(empty)
    assert (report.landing.waiting, report.landing.waiting_bytes) == (1, 3)
    assert [file.file_name for file in report.landing.set_aside] == ["bad.jsonl.gz"]
    assert "problem: bad.jsonl.gz was set aside:" in problems(report)
    (empty.landing_path / ".set_aside" / "bad.jsonl.gz").unlink()
    assert doctor(empty).ok


def test_a_batch_clock_ahead_of_this_machine_is_a_problem(copied: Settings) -> None:
    ahead = datetime.now() + timedelta(days=30)
    with connect(copied.warehouse_path) as connection:
        connection.execute("update raw.load_batches set clock_at = ? where batch_id = 2", [ahead])
    assert "it never goes back" in problems(doctor(copied))


def test_old_events_loaded_live_point_to_the_replay(copied: Settings) -> None:
    with connect(copied.warehouse_path) as connection:
        connection.execute("update raw.load_batches set is_replay = false, clock_at = finished_at where batch_id = 2")
    assert "load with `tripline batch --replay`" in problems(doctor(copied))


def test_runs_that_were_not_warm_are_told_with_the_reason(empty: Settings, console: Console) -> None:
    assert doctor(empty).warm_runs.last_fallback is None
    note_fallback(empty.dagster_path, "0123456789abcdef", "trg_mine.sql changed while another run was under way")
    report = doctor(empty)
    assert report.ok, "such a run is slower and otherwise the same"
    assert report.warm_runs.templates == []
    assert report.warm_runs.last_fallback and report.warm_runs.last_fallback.count == 1
    render(report, console)
    assert "run 01234567: trg_mine.sql changed while another run was under way" in console.export_text()


def test_where_warm_runs_are_turned_off_the_doctor_says_so(empty: Settings, console: Console) -> None:
    off = empty.model_copy(update={"warm_runs": False})
    render(doctor(off), console)
    assert "templates  off" in console.export_text()


def test_a_broken_source_declaration_is_a_problem_and_the_rest_is_still_told(shop: Settings, tmp_path: Path) -> None:
    copied = copy_of(shop, tmp_path / "copy", "warehouse.duckdb")
    copied.sources_path.mkdir()
    (copied.sources_path / "shop.yml").write_text("name: [")
    report = doctor(copied)
    assert not report.ok and "shop.yml" in problems(report)
    assert report.last_batch


def test_the_json_of_a_program_has_the_paths(shop: Settings) -> None:
    told = json.loads(doctor(shop).model_dump_json())
    assert told["ok"] is True
    assert told["paths"]["warehouse"] == str(shop.warehouse_path)
    assert {"warehouse", "published", "landing", "home", "dagster_home", "sources"} <= set(told["paths"])
    assert told["last_batch"]["clock_at"].endswith("Z")


@pytest.mark.parametrize("name", ["warehouse", "published", "landing", "home", "dagster_home", "sources"])
def test_one_path_can_be_asked_for_before_anything_exists(empty: Settings, name: str) -> None:
    assert Path(path_of(empty, name)).is_absolute()


def test_an_unknown_path_is_refused_with_the_names_there_are(empty: Settings) -> None:
    with pytest.raises(ConfigError, match="there is no path 'wharehouse'") as caught:
        path_of(empty, "wharehouse")
    assert "warehouse" in caught.value.hint


def test_the_command_ends_with_1_where_something_is_to_be_mended(
    empty: Settings, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPLINE_HOME", str(empty.home))
    run(console, path=None, as_json=False)
    empty.home.mkdir()
    empty.warehouse_path.write_text("not a database " * 1_000)
    with pytest.raises(SystemExit) as stopped:
        run(console, path=None, as_json=False)
    assert stopped.value.code == 1
    assert "mend  the warehouse cannot be read" in console.export_text()
