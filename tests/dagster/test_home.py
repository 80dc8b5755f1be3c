"""Dagster's own folder, as `make dev` sets it up."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.launcher.base import WorkerStatus

from orchestration.dagster_home import dev_command, write_dagster_home
from orchestration.errors import ConfigError
from orchestration.run_launcher import WatchedRunLauncher
from orchestration.settings import Settings, get_settings

pytestmark = pytest.mark.xdist_group("dagster")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("TRIPLINE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TRIPLINE_WAREHOUSE", raising=False)
    return get_settings()


def test_the_instance_runs_one_batch_at_a_time_and_keeps_everything_in_its_home(settings: Settings) -> None:
    home = write_dagster_home(settings)
    assert home == settings.dagster_path
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert not instance.telemetry_enabled
        assert not instance.run_retries_enabled
        pools = instance.get_concurrency_config().pool_config
        assert pools.default_pool_limit == 1
        assert isinstance(instance.run_launcher, WatchedRunLauncher)
        assert Path(instance.root_directory) == home
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None and queue.max_concurrent_runs == 2


def test_a_dagster_yaml_that_a_person_wrote_stays(settings: Settings) -> None:
    home = write_dagster_home(settings)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    write_dagster_home(settings)
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_the_ui_listens_on_this_machine_only(settings: Settings) -> None:
    command, environment = dev_command(settings)
    assert command[1:] == ["dev", "-m", "orchestration.definitions", "-h", "127.0.0.1", "-p", "3000"]
    assert Path(command[0]).exists()
    assert environment["DAGSTER_HOME"] == str(settings.dagster_path)
    assert environment["TRIPLINE_HOME"] == str(settings.home)
    assert environment["TRIPLINE_WAREHOUSE"] == str(settings.warehouse_path)


def test_dagster_and_its_template_do_not_both_make_the_databases(settings: Settings) -> None:
    """Else, once in a while, one of them ends at once with "table already exists"."""
    dev_command(settings)
    made = {path.relative_to(settings.dagster_path).as_posix() for path in settings.dagster_path.rglob("*.db")}
    assert made >= {"history/runs.db", "history/runs/index.db", "schedules/schedules.db"}
    for name in made:
        with sqlite3.connect(settings.dagster_path / name) as database:
            assert database.execute("select count(*) from alembic_version").fetchall() == [(1,)], name


def test_a_storage_that_cannot_be_opened_is_told_without_its_address(settings: Settings) -> None:
    address = "postgresql://someone:hunter2@127.0.0.1:1/dagster"
    home = write_dagster_home(settings)
    (home / "dagster.yaml").write_text(yaml.safe_dump({"storage": {"postgres": {"postgres_url": address}}}))
    with pytest.raises(ConfigError) as told:
        dev_command(settings)
    assert "dagster.yaml" in str(told.value) and "hunter2" not in str(told.value)


def test_a_run_whose_process_died_with_its_server_does_not_stay_started_for_ever(settings: Settings) -> None:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def some_job() -> None:
        nothing()

    with dg.DagsterInstance.from_config(str(write_dagster_home(settings))) as instance:
        gone = '{"host": "localhost", "socket": "/tmp/tripline-no-such-socket"}'
        run = instance.create_run_for_job(
            some_job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/grpc_info": gone}
        )
        launcher = instance.run_launcher
        assert launcher.supports_check_run_worker_health
        looks = [launcher.check_run_worker_health(run) for _ in range(2)]
    assert [look.status for look in looks] == [WorkerStatus.RUNNING, WorkerStatus.FAILED]
    assert "catches up" in str(looks[1].msg)
