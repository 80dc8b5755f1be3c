"""The template process: `python -m orchestration.warm.template <spec file>`.

One thread, which waits at a socket and forks. Descriptors that it is given: `--ready`, to which it writes one line when
it can be used or never will, and `--lock`, which it lets go of then.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import util
from pathlib import Path

from orchestration.warm import loading, watch
from orchestration.warm.children import Children
from orchestration.warm.door import Door
from orchestration.warm.history import History
from orchestration.warm.places import Place, Spec, write_private
from orchestration.warm.requests import Requests
from orchestration.warm.worker import ASKED_TO_END, become_worker

READY = "ready"
LOOK_SECONDS = 1.0  # between looks at files, at whoever is overdue, and for who is still there
QUIET_SECONDS = 0.3  # an editor or a checkout writes many files; loading waits until it is done


class Template:
    """Loads, serves until nobody needs it, and begins anew in the same process when files change."""

    def __init__(self, spec_file: Path, ready: int | None, lock: int | None) -> None:
        told = json.loads(spec_file.read_text(encoding="utf-8"))
        self._spec_file = spec_file
        self._spec = Spec(**told["spec"])
        self._history = History(**told.get("history", {}))
        self._place = Place(spec_file.parent, self._spec.key)
        self._ready = ready
        self._lock = lock
        # Before anything that is loaded adds to it: what a run is to have, and what a launcher's is compared with.
        self._environment = dict(os.environ)

    def run(self) -> None:
        began = time.time()
        try:
            # Kept for as long as this process lives: its jobs are what a forked run finds built already.
            self._repository = loading.load(self._spec, self._place.folder / f"{self._place.key}.dbt", self._in_fork)
        except Exception as error:
            traceback.print_exc()
            self._give_up(f"{type(error).__name__}: {error}")
        self._history.loaded(began)
        self._files = self._look()
        now = time.time()
        self._changed_while_loading = [path for path, (ns, _) in self._files.items() if began < ns / 1e9 <= now]
        self._hear_signals()
        self._door = Door(self._place.socket)
        self._children = Children(self._door.close_in_child)
        self._requests = Requests(self)
        self._door.wake_on(self._wakeup)
        self._place.failure.unlink(missing_ok=True)
        self._place.forget_old_launches()
        self._say_ready(READY)
        self._serve()
        # Not through the interpreter's own end: DuckDB's bindings would print whatever the collector was told to keep.
        sys.stdout.flush()
        sys.stderr.flush()
        util._exit_function()  # type: ignore[attr-defined]
        os._exit(0)

    # What requests need to know and to ask for.

    @property
    def spec(self) -> Spec:
        return self._spec

    @property
    def place(self) -> Place:
        return self._place

    @property
    def history(self) -> History:
        return self._history

    @property
    def children(self) -> Children:
        return self._children

    @property
    def environment(self) -> dict[str, str]:
        return self._environment

    def changed_files(self) -> list[str]:
        """Since they were loaded; empty where what is held is what the files say."""
        return self._changed_while_loading or watch.changed(self._files, self._look())

    def take_lock(self) -> bool:
        """Whoever wants this template from now on waits until it is loaded again. False where somebody else is about to
        start one."""
        if self._lock is not None:
            return True
        descriptor = os.open(self._place.lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        os.utime(self._spec_file)  # which says since when it loads
        return True

    def reload(self, why: str, environment: dict[str, str] | None = None) -> None:
        """A new image in this process, which needs the lock and no children."""
        if not self.take_lock() or self._lock is None:
            return
        while True:
            before = self._look()
            time.sleep(QUIET_SECONDS)
            if not watch.changed(before, self._look()):
                break
        self._history.reloading(why)
        self._write_spec()
        self._door.close()
        os.set_inheritable(self._lock, True)
        util._exit_function()  # type: ignore[attr-defined]  # dbt's semaphores, which an exec would leave behind
        command = [sys.executable, "-m", "orchestration.warm.template", str(self._spec_file)]
        os.execve(sys.executable, [*command, "--lock", str(self._lock)], environment or self._environment)

    # The loop.

    def _serve(self) -> None:
        looked = time.monotonic()
        while not self._requests.is_over():
            for visitor, message in self._door.wait(LOOK_SECONDS):
                self._requests.hear(visitor, message)
            for child, code in self._children.reap():
                self._requests.ended(child, code)
            self._children.press()
            if self._requests.wants_reload and not self._children:
                why, environment = self._requests.wants_reload
                self.reload(why, environment)
            if time.monotonic() - looked >= LOOK_SECONDS and not self._children:
                looked = time.monotonic()
                if paths := self.changed_files():
                    others = f" and {len(paths) - 1} more" if paths[1:] else ""
                    self.reload(f"{Path(paths[0]).name}{others} changed")
        self._door.close()

    def _look(self) -> watch.Snapshot:
        if not hasattr(self, "_modules"):
            self._modules = watch.module_files()
        return watch.snapshot(self._modules, self._spec.watch)

    def _hear_signals(self) -> None:
        self._wakeup, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in ASKED_TO_END:
            signal.signal(number, lambda *_: self._requests.leave())

    def _in_fork(self, work: Callable[[], int]) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            become_worker(work, parent, lambda: None)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _write_spec(self) -> None:
        told = {"spec": self._spec.model_dump(), "history": self._history.model_dump()}
        write_private(self._spec_file, json.dumps(told))

    def _say_ready(self, word: str) -> None:
        if self._ready is not None:
            with suppress(OSError):
                os.write(self._ready, word.replace("\n", " ")[:500].encode() + b"\n")
            os.close(self._ready)
            self._ready = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _give_up(self, why: str) -> None:
        """Notes why, with the files as they are, so that the next run does not wait for the same end."""
        note = {"at": time.time(), "why": why, "modules": watch.module_files(), "files": self._look()}
        write_private(self._place.failure, json.dumps(note))
        self._say_ready(why)
        sys.exit(1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("spec", type=Path)
    parser.add_argument("--ready", type=int)
    parser.add_argument("--lock", type=int)
    given = parser.parse_args()
    Template(given.spec, given.ready, given.lock).run()


if __name__ == "__main__":
    # Under its own name, not __main__: what is forked, and what that spawns, imports it again.
    from orchestration.warm.template import main as start

    start()
