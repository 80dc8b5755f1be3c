"""What warm runs rely on in Dagster and dbt that neither promises to keep.

Where one of these fails after an upgrade: read what changed, mend the module that is named, run tests/warm, and only
then let pyproject.toml take the new version.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest

from orchestration.dagster_home import write_dagster_home
from orchestration.settings import Settings
from orchestration.warm.coordinator import PromptRunCoordinator

pytestmark = pytest.mark.xdist_group("warm_units")


def parameters(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_dagster_still_runs_a_run_by_a_command_that_takes_its_arguments_as_one_text() -> None:
    from dagster._cli.api import execute_run_command
    from dagster._grpc.types import ExecuteRunArgs

    told = "worker.execute_run calls dagster._cli.api.execute_run_command([text]); it has changed"
    assert isinstance(execute_run_command, click.Command), told
    assert execute_run_command.params[0].name == "input_json", told
    assert parameters(ExecuteRunArgs.__new__)[1:] == [
        "job_origin",
        "run_id",
        "instance_ref",
        "set_exit_code_on_failure",
    ], "launcher._hand_over makes a dagster._grpc.types.ExecuteRunArgs; its fields have changed"


def test_dagsters_own_launcher_still_marks_its_runs_with_where_their_server_is() -> None:
    from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
    from dagster._core.storage.tags import GRPC_INFO_TAG

    told = (
        "a run that went the ordinary way is looked after through GRPC_INFO_TAG, by DefaultRunLauncher; it has changed"
    )
    source = inspect.getsource(DefaultRunLauncher)
    assert GRPC_INFO_TAG == ".dagster/grpc_info", told
    assert "GRPC_INFO_TAG" in source and "_get_grpc_client_for_termination" in source, told


def test_dagster_dbt_still_makes_its_adapter_where_ours_leaves_it_out() -> None:
    from dagster_dbt import DbtCliResource

    told = "dbt_resource.PlainDbtCliResource overrides DbtCliResource._initialize_dbt_core_adapter, which saves 0.6 s"
    assert parameters(DbtCliResource._initialize_dbt_core_adapter) == ["self", "args"], told
    assert "_initialize_dbt_core_adapter(args)" in inspect.getsource(DbtCliResource.cli), told


def test_dagsters_queue_is_still_looked_at_as_often_as_its_coordinator_says(tmp_path: Path) -> None:
    from dagster._daemon.controller import create_daemon_of_type
    from dagster._daemon.run_coordinator import QueuedRunCoordinatorDaemon

    told = "coordinator.PromptRunCoordinator overrides QueuedRunCoordinator.dequeue_interval_seconds; it has no effect"
    settings = Settings(home=tmp_path, warm_runs=True)
    with dg.DagsterInstance.from_config(str(write_dagster_home(settings))) as instance:
        assert isinstance(instance.run_coordinator, PromptRunCoordinator)
        assert QueuedRunCoordinatorDaemon.daemon_type() in instance.get_required_daemon_types(), told
        daemon = create_daemon_of_type(QueuedRunCoordinatorDaemon.daemon_type(), instance)
        assert daemon.interval_seconds == 0.4, told


def test_a_launcher_is_still_asked_for_what_ours_answers() -> None:
    from dagster._core.launcher.base import LaunchRunContext, RunLauncher, WorkerStatus

    told = "launcher.WarmRunLauncher overrides RunLauncher's {}; its signature has changed"
    assert parameters(RunLauncher.launch_run) == ["self", "context"], told.format("launch_run")
    assert parameters(RunLauncher.terminate) == ["self", "run_id"], told.format("terminate")
    assert "run" in parameters(RunLauncher.check_run_worker_health), told.format("check_run_worker_health")
    assert LaunchRunContext._fields == ("dagster_run", "workspace"), "LaunchRunContext has other fields"
    assert {"RUNNING", "FAILED"} <= set(WorkerStatus.__members__), "WorkerStatus has other members"


def test_a_repository_can_still_be_made_from_a_code_pointer_alone() -> None:
    from dagster._core.code_pointer import CodePointer
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    told = "loading._repository makes a ReconstructableRepository(pointer, executable_path=…); its fields have changed"
    assert parameters(ReconstructableRepository.__new__)[1:4] == ["pointer", "container_image", "executable_path"], told
    assert parameters(CodePointer.from_module)[:3] == ["module_name", "definition", "working_directory"], (
        "beforehand.spec_of_definitions names the definitions by CodePointer.from_module; it has changed"
    )


def test_an_instance_is_still_made_from_its_reference_and_reads_env_files() -> None:
    told = "loading and worker.settle use DagsterInstance.{}; it is gone or has changed"
    for name in ("from_ref", "get_ref", "inject_env_vars", "report_run_failed", "report_run_canceled", "add_run_tags"):
        assert callable(getattr(dg.DagsterInstance, name, None)), told.format(name)
    assert parameters(dg.DagsterInstance.inject_env_vars) == ["self", "location_name"], told.format("inject_env_vars")


def test_the_event_log_still_opens_a_connection_for_every_statement_in_one_method() -> None:
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    told = "event_log.WarmEventLogStorage replaces SqliteEventLogStorage.{}; it has changed"
    source = inspect.getsource(SqliteEventLogStorage._connect)
    for used in ("self._db_lock", "self.conn_string_for_shard", "self._initialized_dbs", "self._initdb(engine)"):
        assert used in source, told.format(f"_connect, and expects {used} in it")
    assert parameters(SqliteEventLogStorage._connect) == ["self", "shard"], told.format("_connect")
    assert parameters(SqliteEventLogStorage.__init__) == ["self", "base_dir", "inst_data"], told.format("__init__")


def test_planned_events_are_still_handed_over_at_once_where_the_environment_says_so() -> None:
    from dagster._core.instance.methods import event_methods
    from dagster._core.instance.runs import run_domain
    from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

    told = "event_log.WarmEventLogStorage.store_event_batch rests on {}; it is gone"
    assert "store_event_batch" in inspect.getsource(event_methods), told.format("handle_new_event")
    assert "DAGSTER_EVENT_BATCH_SIZE" in inspect.getsource(event_methods), told.format("DAGSTER_EVENT_BATCH_SIZE")
    assert "DagsterEventBatchMetadata" in inspect.getsource(run_domain), told.format("the batch of planned events")
    assert parameters(SqliteEventLogStorage.store_event_batch) == ["self", "events"], told.format("store_event_batch")


def test_warm_runs_keep_dagsters_history_where_its_default_storage_has_it(tmp_path: Path) -> None:
    from dagster._core.instance import InstanceRef
    from dagster._core.storage.sqlite_storage import _event_logs_directory, _runs_directory, _schedule_directory

    from orchestration.dagster_home import write_dagster_home

    told = "Dagster's default folders have moved: turning warm runs on or off would lose its history (dagster_home)"
    home = write_dagster_home(Settings(home=tmp_path, warm_runs=True))
    ref = InstanceRef.from_dir(str(home))
    wanted = {
        "event": _event_logs_directory(str(home)),
        "run": _runs_directory(str(home)),
        "schedule": _schedule_directory(str(home)),
    }
    found = {
        "event": ref.event_storage_data,
        "run": ref.run_storage_data,
        "schedule": ref.schedule_storage_data,
    }
    folders = {name: Path(data.config_dict["base_dir"]) for name, data in found.items() if data}
    assert folders == {name: Path(path) for name, path in wanted.items()}, told


def test_dbt_still_takes_a_manifest_that_is_parsed_already() -> None:
    from dbt.cli import requires
    from dbt.cli.main import dbtRunner

    assert parameters(dbtRunner.__init__)[1] == "manifest", "dbt_runs gives dbtRunner a manifest; it takes none now"
    assert 'ctx.obj.get("manifest") is None' in inspect.getsource(requires.setup_manifest), (
        "dbt no longer goes by the manifest that it is given (dbt.cli.requires.setup_manifest)"
    )


def test_dbts_templates_of_macros_are_still_kept_in_one_cache() -> None:
    from dbt_common.clients.jinja import CallableMacroGenerator, template_cache

    told = "dbt_runs compiles macros beforehand through dbt_common.clients.jinja.template_cache; it has changed"
    assert callable(template_cache.get_node_template), told
    assert "template_cache.get_node_template(self.macro)" in inspect.getsource(CallableMacroGenerator.get_template), (
        told
    )


def test_dbts_connections_can_still_be_closed_at_once() -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    assert callable(DuckDBConnectionManager.close_all_connections), (
        "dbt_runs.close_warehouse frees the warehouse by DuckDBConnectionManager.close_all_connections; it is gone"
    )


def test_dagster_dbt_still_starts_the_executable_that_it_is_given() -> None:
    from dagster_dbt import DbtCliResource
    from dagster_dbt.core.dbt_cli_invocation import DbtCliInvocation

    told = "dbt_client stands in for DbtCliResource.dbt_executable: {}"
    source = inspect.getsource(DbtCliResource)
    assert 'check_output([self.dbt_executable, "--version"])' in source, told.format("the version is asked otherwise")
    assert r"(\d+\.\d+\.\d+)" in source, told.format("the version is read otherwise")
    run = inspect.getsource(DbtCliInvocation.run)
    for used in ("subprocess.Popen(", "stdout=subprocess.PIPE", "stderr=subprocess.STDOUT"):
        assert used in run, told.format("dbt is started otherwise")
    assert "send_signal(signal.SIGINT)" in inspect.getsource(DbtCliInvocation), told.format("it is stopped otherwise")


def test_python_still_has_the_functions_by_which_a_fork_ends_tidily() -> None:
    import atexit
    import threading
    from multiprocessing import util

    told = "worker ends a fork by {}, which this Python does not have"
    for owner, name in (
        (util, "_exit_function"),
        (threading, "_shutdown"),
        (atexit, "_clear"),
        (atexit, "_run_exitfuncs"),
    ):
        assert callable(getattr(owner, name, None)), told.format(f"{owner.__name__}.{name}")
