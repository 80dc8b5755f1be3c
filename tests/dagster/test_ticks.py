"""What sensors and the schedule ask for, and when they do not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from orchestration.settings import Settings, get_settings
from orchestration.sources.collected import COLLECTED, mark_crossing
from orchestration.warehouse import connect
from tests.dagster.conftest import AUDIT_JOB, BATCH_JOB, PUSH_JOB, Tick, drop, failure_text, run
from tests.push.conftest import Platform, Shop

pytestmark = pytest.mark.xdist_group("dagster")

LANDING, FIRINGS, SCHEDULE = "landing_files_waiting_sensor", "firings_waiting_sensor", f"{BATCH_JOB}_schedule"
AUDIT = f"{AUDIT_JOB}_schedule"
BUILT = "insert into batches.finished_builds select 'one', 1, now(), now(), 'c', 'm', true, now()"
Hold = Callable[[Path], Callable[[], None]]
Look = Callable[[str], Tick]


@pytest.fixture
def look(definitions: dg.Definitions, instance: dg.DagsterInstance) -> Look:
    return lambda name: Tick(definitions, instance, name)


def under_way(instance: dg.DagsterInstance, definitions: dg.Definitions, job: str, status: DagsterRunStatus) -> None:
    instance.create_run_for_job(definitions.get_job_def(job), status=status)


@pytest.mark.parametrize("name", [LANDING, FIRINGS, SCHEDULE, AUDIT])
def test_on_an_empty_home_every_tick_says_why_it_skips(home: Settings, look: Look, name: str) -> None:
    tick = look(name)
    assert tick.request is None
    assert tick.skip
    assert not home.warehouse_path.exists()


def test_the_same_waiting_files_are_one_key_and_other_files_another(home: Settings, look: Look) -> None:
    path = drop(home)
    first = look(LANDING).key
    assert look(LANDING).key == first
    drop(home, seed=6)
    both = look(LANDING).key
    assert both != first
    path.unlink()
    assert look(LANDING).key not in (first, both)


def test_a_collectors_events_wait_for_a_crossing_or_for_a_minute(
    home: Settings, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = home.landing_path / COLLECTED / "site"
    folder.mkdir(parents=True)
    slice_ = put_into_place(folder / "1.jsonl")
    tick = look(LANDING)
    assert tick.request is None and "1 slices of a collector wait" in tick.skip
    mark_crossing(home.landing_path)
    crossed = look(LANDING).key
    assert crossed

    slice_.unlink()
    put_into_place(folder / "2.jsonl")  # after the crossing: it is not waited for
    assert look(LANDING).request is None
    monkeypatch.setenv("TRIPLINE_COLLECTED_WAIT_SECONDS", "0")
    assert look(LANDING).key != crossed


def test_a_file_beside_a_collectors_events_is_asked_for_at_once(home: Settings, look: Look) -> None:
    folder = home.landing_path / COLLECTED / "site"
    folder.mkdir(parents=True)
    put_into_place(folder / "1.jsonl")
    drop(home)
    assert look(LANDING).key


def put_into_place(path: Path) -> Path:
    """As the collector does: written elsewhere, then renamed."""
    draft = path.with_suffix(".part")
    draft.write_text('{"messageId": "1", "userId": "u", "event": "e", "timestamp": "2026-11-27"}\n')
    time.sleep(0.02)  # more than a tick of the kernel's clock
    return draft.rename(path)


def test_a_file_mended_in_place_is_asked_for_again(home: Settings, look: Look) -> None:
    path = drop(home)
    before = look(LANDING).key
    path.write_text(path.read_text() + "{}\n")
    assert look(LANDING).key != before


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
def test_no_run_is_asked_for_while_one_starts_or_is_under_way(
    home: Settings,
    shop: Shop,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    look: Look,
    status: DagsterRunStatus,
) -> None:
    drop(home)
    shop.fire(1)
    assert look(LANDING).request and look(FIRINGS).request and look(SCHEDULE).request
    under_way(instance, definitions, BATCH_JOB, status)
    assert status.value.lower() in look(LANDING).skip
    assert status.value.lower() in look(SCHEDULE).skip
    assert look(FIRINGS).request, "a push may run beside a batch"
    under_way(instance, definitions, PUSH_JOB, status)
    assert status.value.lower() in look(FIRINGS).skip


def test_a_locked_warehouse_is_a_skip_with_a_reason(home: Settings, shop: Shop, look: Look, hold: Hold) -> None:
    shop.fire(1)
    let_go = hold(home.warehouse_path)
    for name in (FIRINGS, SCHEDULE):
        assert "held by another process" in look(name).skip
    let_go()
    assert look(FIRINGS).request


def test_looking_changes_nothing(home: Settings, shop: Shop, look: Look, instance: dg.DagsterInstance) -> None:
    drop(home)
    shop.fire(1)
    before = home.warehouse_path.read_bytes()
    files = sorted(home.home.rglob("*"))
    for name in (LANDING, FIRINGS, SCHEDULE):
        look(name)
    assert home.warehouse_path.read_bytes() == before
    assert sorted(home.home.rglob("*")) == files
    assert instance.get_runs() == []


def test_what_fired_is_asked_for_by_its_content(shop: Shop, look: Look) -> None:
    assert "settled" in look(FIRINGS).skip
    shop.fire(2)
    first = look(FIRINGS).key
    assert look(FIRINGS).key == first
    shop.fire(1, first=2)
    assert look(FIRINGS).key != first


def test_a_push_that_failed_is_asked_for_again_and_the_later_run_delivers(
    shop: Shop,
    look: Look,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    request: pytest.FixtureRequest,
) -> None:
    shop.fire(3)
    tick = look(FIRINGS)
    failed = run(definitions, instance, PUSH_JOB, tick.tags)  # nobody said where the webhook is
    assert not failed.success
    text = failure_text(instance, failed.run_id)
    assert "What to do" in text
    assert "TRIPLINE_WEBHOOK_URL" in text
    again = look(FIRINGS)
    assert again.key != tick.key
    assert look(FIRINGS).key == again.key
    platform: Platform = request.getfixturevalue("platform")
    assert run(definitions, instance, PUSH_JOB, again.tags).success
    assert shop.final() == {"delivered": 3}
    assert len(platform.received()["effects"]) == 3


def test_a_run_that_somebody_cancelled_is_asked_for_again(
    shop: Shop, look: Look, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    shop.fire(1)
    tick = look(FIRINGS)
    job = definitions.get_job_def(PUSH_JOB)
    instance.create_run_for_job(job, status=DagsterRunStatus.CANCELED, tags=tick.tags)
    assert look(FIRINGS).key != tick.key


def test_what_fails_again_and_again_is_tried_less_and_less_often(
    shop: Shop, look: Look, definitions: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.fire(1)
    keys = set()
    for _ in range(2):
        tick = look(FIRINGS)
        keys.add(tick.key)
        run(definitions, instance, PUSH_JOB, tick.tags)
    assert "the last 2 runs for this failed" in look(FIRINGS).skip
    monkeypatch.setenv("TRIPLINE_DAGSTER_RETRY_SECONDS", "0")
    keys.add(look(FIRINGS).key)
    assert len(keys) == 3


def test_rows_that_the_platform_asked_to_wait_for_are_no_reason_to_push(
    shop: Shop,
    platform: Platform,
    look: Look,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRIPLINE_PUSH_ATTEMPTS", "1")
    shop.fire(1)
    platform.misbehave({"kind": "status", "status": 429, "retry_after": "600"})
    result = run(definitions, instance, PUSH_JOB, look(FIRINGS).tags)
    assert result.success, "an answer of the platform is data, not a failure"
    assert shop.statuses()[-1] == "failed"
    assert "waits for its time" in look(FIRINGS).skip


def test_a_batch_that_found_the_warehouse_locked_says_so_and_is_asked_for_again(
    home: Settings, look: Look, definitions: dg.Definitions, instance: dg.DagsterInstance, hold: Hold
) -> None:
    path = drop(home)
    with connect(home.warehouse_path):
        pass
    let_go = hold(home.warehouse_path)
    tick = look(LANDING)
    failed = run(definitions, instance, BATCH_JOB, tick.tags)
    assert not failed.success
    text = failure_text(instance, failed.run_id)
    assert "held by another process" in text
    assert "wait for the running batch to end" in text
    assert path.exists()
    again = look(LANDING)
    assert again.key != tick.key
    let_go()
    assert "did not end well" in _why(look, instance)


def _why(look: Look, instance: dg.DagsterInstance) -> str:
    from orchestration.ticks import catch_up

    assert look(SCHEDULE).request
    work = catch_up(instance, get_settings(), BATCH_JOB)
    assert work is not None
    return work[0]


def test_a_batch_that_was_loaded_and_not_built_is_caught_up_with(
    home: Settings, look: Look, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    from orchestration.load import load_batch

    drop(home)
    load_batch(home.warehouse_path, home)
    assert "nothing waits" in look(LANDING).skip
    assert look(SCHEDULE).request
    assert "batch 1 is loaded and not built" in _why(look, instance)


def test_a_wrong_source_declaration_is_an_error_of_the_tick_that_names_the_file(home: Settings, look: Look) -> None:
    home.sources_path.mkdir(parents=True)
    (home.sources_path / "mine.yml").write_text("name: [\n")
    drop(home)
    with pytest.raises(Exception) as caught:
        look(LANDING)
    texts: list[Any] = [caught.value, caught.value.__cause__]
    assert any("mine.yml" in str(text) for text in texts)


def test_an_audit_is_asked_for_where_there_is_a_build_and_none_is_under_way(
    home: Settings, look: Look, instance: dg.DagsterInstance, definitions: dg.Definitions, hold: Hold
) -> None:
    Shop(home.warehouse_path)
    assert look(AUDIT).skip == "nothing was built yet"
    with connect(home.warehouse_path) as warehouse:
        warehouse.execute(BUILT)
    assert look(AUDIT).request is not None
    let_go = hold(home.warehouse_path)
    assert "held by another process" in look(AUDIT).skip
    let_go()
    under_way(instance, definitions, AUDIT_JOB, DagsterRunStatus.STARTED)
    assert "is started" in look(AUDIT).skip
