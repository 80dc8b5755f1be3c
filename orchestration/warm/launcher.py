"""The run launcher: hands each run to a template, or to Dagster's own launcher."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from dagster import DagsterRun, Field
from dagster._core.code_pointer import CodePointer
from dagster._core.events import EngineEventData
from dagster._core.instance import InstanceRef
from dagster._core.launcher.base import LaunchRunContext
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value
from dagster._serdes.config_class import ConfigurableClassData

from orchestration.run_launcher import WatchedRunLauncher
from orchestration.settings import get_settings
from orchestration.warm.places import DbtProject, Place, Spec, is_wanted, note_fallback
from orchestration.warm.reaching import Templates
from orchestration.warm.wire import Message, NoAnswer, Unavailable, call

# "<run id> <socket>": a run that is retried takes over its parent's tags, and those name another run.
WORKER_TAG = "tripline/warm_worker"
ORDINARY = "none"
START_SECONDS = 60.0  # loading takes 5 to 8 s, and several times that on a machine that starts all of Dagster as well
GONE_SECONDS = 5.0


class WarmRunLauncher(WatchedRunLauncher):
    """Configuration, all of it optional: `watch`, folders whose files are part of what is loaded; `dbt`, the projects
    to parse beforehand (`project_dir`, `profiles_dir`, `environment`); `start_seconds` to wait for a template;
    `grace_seconds` that it stays when nobody uses it any more."""

    def __init__(
        self,
        inst_data: ConfigurableClassData | None = None,
        *,
        watch: list[str] | None = None,
        dbt: list[dict[str, Any]] | None = None,
        start_seconds: float = START_SECONDS,
        grace_seconds: float = 20.0,
    ) -> None:
        super().__init__(inst_data)
        self._watch = list(watch or [])
        self._dbt = [DbtProject(**project) for project in dbt or []]
        self._start_seconds = start_seconds
        self._grace_seconds = grace_seconds
        self._kept: Templates | None = None

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {
            "watch": Field([str], is_required=False, default_value=[]),
            "dbt": Field([dict], is_required=False, default_value=[]),
            "start_seconds": Field(float, is_required=False, default_value=START_SECONDS),
            "grace_seconds": Field(float, is_required=False, default_value=20.0),
        }

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> WarmRunLauncher:
        return cls(inst_data, **config_value)

    # Starting a run.

    def launch_run(self, context: LaunchRunContext) -> None:
        """Raises what Dagster's own launcher raises, and MayHaveBegun where a template died with the run in its hands.
        Dagster makes it a failed run then."""
        run = context.dagster_run
        if not is_wanted(get_settings()):
            super().launch_run(context)
            return
        try:
            self._hand_over(run)
        except MayHaveBegun as error:
            self._instance.report_engine_event(str(error), run, cls=type(self))
            raise
        except Unavailable as why:
            self._instance.report_engine_event(
                f"This run gets a process of its own, the ordinary way: {why}", run, cls=type(self)
            )
            note_fallback(self._home, run.run_id, str(why))
            if WORKER_TAG in (self._instance.get_run_by_id(run.run_id) or run).tags:
                self._instance.add_run_tags(run.run_id, {WORKER_TAG: ORDINARY})
            super().launch_run(context)

    def _hand_over(self, run: DagsterRun) -> None:
        spec = self._spec_of(run)
        message = {
            "op": "launch",
            "run_id": run.run_id,
            "environment": dict(os.environ),
            "arguments": serialize_value(
                ExecuteRunArgs(
                    job_origin=_origin_of(run),
                    run_id=run.run_id,
                    instance_ref=self._instance.get_ref(),
                    set_exit_code_on_failure=True,
                )
            ),
        }
        deadline = time.monotonic() + self._start_seconds
        while True:
            place = self._templates.reach(spec)
            # Before the fork, or a run could be under way that nobody can find in order to terminate it.
            self._instance.add_run_tags(run.run_id, {WORKER_TAG: f"{run.run_id} {place.socket}"})
            try:
                answer = self._call(place.socket, message)
            except NoAnswer as error:
                answer = self._after_no_answer(place, run, error)
            except Unavailable as error:  # it began to load changed files just now; the next `reach` waits for it
                answer = {"ok": False, "why": str(error), "retry": True}
            if answer["ok"]:
                break
            if not answer.get("retry") or time.monotonic() > deadline:
                raise Unavailable(str(answer.get("why")))
        told = EngineEventData({"pid": answer["pid"], "socket": str(place.socket)})
        self._instance.report_engine_event(f"Forked a warm worker (pid {answer['pid']})", run, told, cls=type(self))

    def _after_no_answer(self, place: Place, run: DagsterRun, error: NoAnswer) -> Message:
        """Whether the run was started is asked before anything is started again: never a run twice. Whoever answers may
        be a template that took the place of the one which has, or had, the run; hence the file."""
        try:
            known = self._call(place.socket, {"op": "status", "run_id": run.run_id})
        except Unavailable:
            known = {"status": "unknown"}
        if known["status"] != "unknown":
            return {"ok": True, "pid": known.get("pid", 0)}
        if place.launched(run.run_id).exists():
            raise MayHaveBegun from error
        return {"ok": False, "why": str(error), "retry": True}

    def _spec_of(self, run: DagsterRun) -> Spec:
        repository = _origin_of(run).repository_origin
        location = run.remote_job_origin.location_name if run.remote_job_origin else ""
        return self.spec(repository.code_pointer, repository.executable_path, location, self._instance.get_ref())

    def spec(self, pointer: CodePointer, executable: str, location: str, instance_ref: InstanceRef) -> Spec:
        """Of the template for a code location, as this launcher is configured."""
        return Spec(
            pointer=serialize_value(cast(Any, pointer)),
            executable=executable,
            location=location,
            instance_ref=serialize_value(instance_ref),
            watch=self._watch,
            dbt=self._dbt,
            grace_seconds=self._grace_seconds,
        )

    # For tests that lose an answer.
    def _call(self, socket: Path, message: Message) -> Message:
        return call(socket, message)

    @property
    def _home(self) -> Path:
        return Path(self._instance.root_directory)

    @property
    def _templates(self) -> Templates:
        if self._kept is None:
            self._kept = Templates(self._home, self._start_seconds)
        return self._kept

    def dispose(self) -> None:
        if self._kept is not None:
            self._kept.close()
        super().dispose()

    # Looking after it.

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        socket = worker_socket(run) if run else None
        if run is None or socket is None:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        if run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        try:
            answer = call(socket, {"op": "terminate", "run_id": run_id})
        except Unavailable as error:
            answer = {"ok": False, "status": "unknown", "why": str(error)}
        if answer["ok"] or answer["status"] == "settling":
            return True
        return self._cancel_without_worker(run_id)

    def _cancel_without_worker(self, run_id: str) -> bool:
        """Its process is gone or going, with its template; what it had to say it says within moments."""
        deadline = time.monotonic() + GONE_SECONDS
        while time.monotonic() < deadline:
            run = self._instance.get_run_by_id(run_id)
            if run is None or run.is_finished:
                return True
            time.sleep(0.1)
        self._instance.report_run_canceled(run, "The process of this run was gone already.")  # type: ignore[arg-type]
        return True

    def _has_worker(self, run: DagsterRun) -> bool:
        socket = worker_socket(run)
        if socket is None:
            return super()._has_worker(run)
        try:
            return call(socket, {"op": "status", "run_id": run.run_id})["status"] in ("running", "settling")
        except Unavailable:
            return False


class MayHaveBegun(Exception):
    """The ordinary way is no way out either: it could start the run a second time."""

    def __init__(self) -> None:
        super().__init__(
            "The template died while it started this run, which may have begun. Nothing is lost: the next run "
            "catches up by itself."
        )


def worker_socket(run: DagsterRun) -> Path | None:
    """Of the template that has this run; None for a run that went the ordinary way, whatever its tags were before."""
    run_id, _, socket = run.tags.get(WORKER_TAG, "").partition(" ")
    return Path(socket) if socket and run_id == run.run_id else None


def _origin_of(run: DagsterRun) -> Any:
    origin = run.job_code_origin
    if origin is None:
        raise Unavailable("it has no code location on this machine")
    if origin.repository_origin.container_image:
        raise Unavailable("its code location is a container image")
    return origin
