"""The project's definitions with dbt in the run's own process instead of a fork of its own, to compare with.

The worker is a fork of the template and so holds the parsed project. dagster-dbt reads a pipe, as from any dbt command.
"""

from __future__ import annotations

import os
import subprocess
import threading
import types
from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster_dbt.core import dbt_cli_invocation
from dbt.cli.main import dbtRunner
from dbt_common.events.functions import msg_to_json

from orchestration import definitions  # the module: Dagster takes one such function in each, imported ones too
from orchestration.warm import dbt_runs


class DbtInThisProcess:
    """What dagster-dbt asks of the process that it started."""

    def __init__(self, args: Sequence[str], *, env: dict[str, str], **_: object) -> None:
        self.args = list(args)
        self.returncode: int | None = None
        reading, writing = os.pipe()
        self.stdout = os.fdopen(reading, "rb")
        self._events = os.fdopen(writing, "w", encoding="utf-8")
        self._thread = threading.Thread(target=self._run, args=(env,), daemon=True)
        self._thread.start()

    def _run(self, env: dict[str, str]) -> None:
        os.environ.update(env)
        code = dbt_runs.UNHANDLED_ERROR
        try:
            command = self.args[1:]
            held = dbt_runs.held_for(command, env)
            runner = dbtRunner(manifest=held.manifest if held else None, callbacks=[self._tell])
            code = 0 if runner.invoke(["--log-level", "none", *command]).success else dbt_runs.HANDLED_ERROR
        finally:
            dbt_runs.close_warehouse()
            self.returncode = code
            self._events.close()

    def _tell(self, message: Any) -> None:
        if message.info.level not in ("debug", "test"):
            self._events.write(msg_to_json(message) + "\n")
            self._events.flush()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        self._thread.join(timeout)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """A thread hears none."""


dbt_cli_invocation.subprocess = types.SimpleNamespace(  # type: ignore[assignment]
    Popen=DbtInThisProcess, PIPE=subprocess.PIPE, STDOUT=subprocess.STDOUT
)


@dg.definitions
def defs() -> dg.Definitions:
    return definitions.defs()
