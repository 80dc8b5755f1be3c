"""What a template is asked, and what it answers."""

from __future__ import annotations

import os
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration.warm import dbt_runs, worker
from orchestration.warm.children import Child
from orchestration.warm.door import DESCRIPTORS, Visitor
from orchestration.warm.loading import memory_bytes
from orchestration.warm.stand_in import child_variables
from orchestration.warm.wire import Message

if TYPE_CHECKING:
    from orchestration.warm.template import Template

KILL_RUN_AFTER = 30.0  # seconds from asking a run to end; dagster-dbt gives dbt 25 of them
KILL_DBT_AFTER = 10.0
REMEMBERED_ENDS = 1_000
# Of the process, not of the runs; the last two are how `dagster dev` marks what it starts.
NO_MATTER = {"_", "SHLVL", "PWD", "OLDPWD", "COLUMNS", "LINES", "DAGSTER_IS_DEV_CLI", "DAGSTER_verbose"}


class Requests:
    """`wants_reload`: (why, the environment to have then) as soon as no child is left."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._leases: set[Visitor] = set()
        self._alone_since = time.monotonic()
        self._is_leaving = False
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._unsettled: dict[str, tuple[Child, int]] = {}
        self.wants_reload: tuple[str, dict[str, str] | None] | None = None

    def hear(self, visitor: Visitor, message: Message | None) -> None:
        """Answers; a message that makes no sense is answered with why."""
        if message is None:
            self._gone(visitor)
            return
        answers = {
            "lease": self._lease,
            "launch": self._launch,
            "status": self._status,
            "terminate": self._terminate,
            "about": self._about,
            "dbt": self._dbt,
            "leave": self._leave,
        }
        try:
            answer = answers[message["op"]](visitor, message)
        except (KeyError, TypeError, ValueError, OSError) as error:
            answer = self._refuse(f"not understood: {type(error).__name__}: {error}")
        visitor.answer(answer)

    def _gone(self, visitor: Visitor) -> None:
        if visitor in self._leases:
            self._leases.remove(visitor)
            self._alone_since = time.monotonic()
        for child in self._template.children:
            if child.visitor is visitor:  # nobody wants this dbt any more
                child.visitor = None
                self._template.children.ask_to_end(child, KILL_DBT_AFTER)

    # Coming and going.

    def _lease(self, visitor: Visitor, message: Message) -> Message:
        if self._is_leaving:
            return self._refuse("it is ending")
        self._leases.add(visitor)
        return {"ok": True, "pid": os.getpid()}

    def _leave(self, visitor: Visitor, message: Message) -> Message:
        """From a launcher that ends for good: nobody else, no reason to stay for long."""
        self._leases.discard(visitor)
        if not self._leases:
            self.leave()
        return {"ok": True, "is_leaving": self._is_leaving}

    def leave(self) -> None:
        """Ends as soon as its children have, and asks them to."""
        self._is_leaving = True
        for child in self._template.children:
            if child.kind != "settle" and not child.is_asked_to_end:
                self._template.children.ask_to_end(child, KILL_RUN_AFTER)

    def is_over(self) -> bool:
        is_alone = not self._leases and time.monotonic() - self._alone_since > self._template.spec.grace_seconds
        if is_alone and not self._is_leaving:
            # Nobody could see or terminate what still runs, and it holds the warehouse.
            self.leave()
        return self._is_leaving and not self._template.children

    # Runs.

    def _launch(self, visitor: Visitor, message: Message) -> Message:
        run_id, arguments, environment = message["run_id"], message["arguments"], message["environment"]
        if known := self._template.children.run(run_id):
            return {"ok": True, "pid": known.pid}
        if self._is_leaving:
            return self._refuse("it is ending")
        if why := self._outdated(environment):
            if self._template.children:
                return self._refuse(f"{why} while another run is under way")
            self.wants_reload = (why, environment)
            self._template.take_lock()
            return {"ok": False, "retry": True, "why": why}
        self._template.place.launched(run_id).touch(mode=0o600)
        variables = child_variables(self._template.place.socket, run_id)

        def work() -> int:
            os.environ.update(variables)
            return worker.execute_run(arguments)

        child = self._template.children.fork("run", run_id, work, arguments=arguments)
        self._template.history.runs += 1
        return {"ok": True, "pid": child.pid}

    def _outdated(self, environment: dict[str, str]) -> str | None:
        mine, theirs = self._template.environment, environment
        names = {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)} - NO_MATTER
        if names:
            return f"the environment changed ({min(names)})"
        paths = self._template.changed_files()
        return f"{os.path.basename(paths[0])} changed" if paths else None  # noqa: PTH119

    def _status(self, visitor: Visitor, message: Message) -> Message:
        run_id = message["run_id"]
        child = self._template.children.run(run_id)
        if child:
            return {"ok": True, "status": "running", "pid": child.pid}
        if run_id in self._unsettled or self._template.children.of_run(run_id, "settle"):
            return {"ok": True, "status": "settling"}
        return {"ok": True, "status": "ended" if run_id in self._ended else "unknown"}

    def _terminate(self, visitor: Visitor, message: Message) -> Message:
        child = self._template.children.run(message["run_id"])
        if child is None:
            return self._status(visitor, message) | {"ok": False}
        self._template.children.ask_to_end(child, KILL_RUN_AFTER)
        return {"ok": True}

    def ended(self, child: Child, code: int) -> None:
        """A child is gone. A run that ended badly is settled, once its dbt no longer holds the warehouse."""
        if child.kind == "dbt" and child.visitor:
            child.visitor.answer({"exit": code if code >= 0 else 128 - code})
        elif child.kind == "run":
            self._remember(child.run_id)
            if code:
                self._unsettled[child.run_id] = (child, code)
                for dbt in self._template.children.of_run(child.run_id, "dbt"):
                    self._template.children.ask_to_end(dbt, KILL_DBT_AFTER)
        if child.run_id and (child.kind == "settle" or (child.kind == "run" and not code)):
            self._template.place.launched(child.run_id).unlink(missing_ok=True)
        self._settle(child.run_id)

    def _remember(self, run_id: str) -> None:
        self._ended[run_id] = None
        while len(self._ended) > REMEMBERED_ENDS:
            self._ended.popitem(last=False)

    def _settle(self, run_id: str) -> None:
        if run_id not in self._unsettled or self._template.children.of_run(run_id, "dbt"):
            return
        child, code = self._unsettled.pop(run_id)
        how = worker.words_of(code)
        self._template.children.fork(
            "settle", run_id, lambda: worker.settle(child.arguments, how, child.is_asked_to_end)
        )

    # dbt.

    def _dbt(self, visitor: Visitor, message: Message) -> Message:
        arguments, environment, folder = message["arguments"], message["environment"], message["folder"]
        descriptors, visitor.descriptors = visitor.descriptors, []
        try:
            if why := self._why_not(arguments, environment, descriptors):
                return self._refuse(f"dbt {' '.join(arguments[:2])}: {why}")
            child = self._template.children.fork(
                "dbt",
                environment.get("TRIPLINE_TEMPLATE_RUN", ""),
                lambda: dbt_runs.run(arguments, environment, folder, descriptors),
                visitor=visitor,
            )
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        self._template.history.dbt_commands += 1
        return {"ok": True, "pid": child.pid}

    def _why_not(self, arguments: Sequence[str], environment: dict[str, str], descriptors: Sequence[int]) -> str | None:
        if self._is_leaving:
            return "it is ending"
        if len(descriptors) != DESCRIPTORS:
            return "no stdout and stderr came along"
        if paths := self._template.changed_files():
            return f"{os.path.basename(paths[0])} changed"  # noqa: PTH119
        return dbt_runs.refusal(arguments, environment)

    # Looking on.

    def _about(self, visitor: Visitor, message: Message) -> Message:
        children = list(self._template.children)
        return {
            "ok": True,
            "pid": os.getpid(),
            "python": sys.executable,
            "location": self._template.spec.location,
            "memory_bytes": memory_bytes(),
            "running": [child.run_id for child in children if child.kind == "run"],
            "dbt_running": sum(child.kind == "dbt" for child in children),
            "history": self._template.history.model_dump(),
        }

    def _refuse(self, why: str) -> Message:
        self._template.history.refused(why)
        return {"ok": False, "why": why}
