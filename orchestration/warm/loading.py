"""What a template holds when it is ready: Dagster, the definitions, parsed dbt projects."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from orchestration.warm import dbt_runs
from orchestration.warm.places import Spec

if TYPE_CHECKING:
    from dagster import RepositoryDefinition

# What the first run would import otherwise.
NEEDED = ("dagster._cli.api", "dagster._core.executor.in_process", "dagster._grpc.impl")
NEEDED_FOR_DBT = ("dagster_dbt.core.dbt_cli_event", "dbt.cli.main", "dbt.task.build", "dbt.adapters.duckdb.impl")
TASKS = Path("/proc/self/task")
# pyarrow's allocator has one, holds it still around each fork and does without in the child (pthread_atfork).
SAFE_THREADS = {"jemalloc_bg_thd"}


class NotSafeToFork(Exception):
    """A thread is running: a fork would have its locks and not the thread."""


def load(spec: Spec, scratch: Path, in_fork: Callable[[Callable[[], int]], int]) -> RepositoryDefinition:
    """The repository of `spec`, with all that its runs need in memory. Opens no warehouse and no server.

    Raises whatever the definitions raise, dbt_runs.CannotParse, NotSafeToFork.
    """
    repository = _repository(spec)
    for name in NEEDED:
        importlib.import_module(name)
    if "dagster_dbt" in sys.modules:
        for name in NEEDED_FOR_DBT:
            importlib.import_module(name)
        for project in spec.dbt:
            dbt_runs.hold(project, scratch, in_fork)
    in_fork(lambda: 0)  # numpy's OpenBLAS ends its threads when a process forks, and starts them when it computes
    assert_one_thread()
    gc.collect()
    gc.freeze()  # or the collector of each child would copy every page of what is held here
    return repository


def _repository(spec: Spec) -> RepositoryDefinition:
    from dagster import DagsterInstance
    from dagster._core.code_pointer import CodePointer
    from dagster._core.definitions.reconstruct import ReconstructableRepository
    from dagster._core.instance import InstanceRef
    from dagster._serdes import deserialize_value

    with DagsterInstance.from_ref(deserialize_value(spec.instance_ref, InstanceRef)) as instance:
        instance.inject_env_vars(spec.location)
        # Imports what they are made of; a child opens its own.
        _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage, instance.compute_log_manager
    pointer = cast(CodePointer, deserialize_value(spec.pointer))
    repository = ReconstructableRepository(pointer, executable_path=spec.executable).get_definition()
    for job in repository.get_all_jobs():
        repository.get_maybe_subset_job_def(job.name)
    return repository


def assert_one_thread() -> None:
    names = sorted((task / "comm").read_text().strip() for task in TASKS.iterdir())
    if len([name for name in names if name not in SAFE_THREADS]) != 1:
        raise NotSafeToFork(f"{len(names)} threads are alive after loading ({', '.join(names)}): not safe to fork")


def memory_bytes() -> int:
    """Of this process, shared pages too."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
