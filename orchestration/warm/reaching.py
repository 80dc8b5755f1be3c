"""From a process that uses templates: finds the one of a code location, starts it where there is none, and keeps it."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from orchestration.warm import watch
from orchestration.warm.places import Place, Spec, place_of, write_private
from orchestration.warm.wire import Unavailable, call, connected, receive, send

READY = "ready"
FAILURE_HOLDS_SECONDS = 60.0  # something else than a file may have been wrong, a database that was down for example
LEAVE_SECONDS = 2.0
MOMENT_SECONDS = 1.0  # a launcher that finds its template has the lock for some milliseconds
FAREWELL_SECONDS = 45.0  # a run is killed 30 s after it was asked to end, and then settled


class Templates:
    """Thread-safe. While it is open, the templates that it reached stay."""

    def __init__(self, dagster_home: Path, start_seconds: float, output: IO[bytes] | None = None) -> None:
        self._output = output
        self._home = dagster_home
        self._start_seconds = start_seconds
        self._leases: dict[Path, socket.socket] = {}
        self._started: list[subprocess.Popen[bytes]] = []
        self._turn = threading.Lock()

    def reach(self, spec: Spec, environment: Mapping[str, str] | None = None) -> Place:
        """The place of a template that answers; waits for one that is loading, starts one where there is none.

        Raises Unavailable: it cannot be loaded, not in time, or not at all here.
        """
        place = place_of(self._home, spec)
        deadline = time.monotonic() + self._start_seconds
        with self._turn, _locked(place, deadline, self._start_seconds) as lock:
            self._started = [process for process in self._started if process.poll() is None]
            if not self._has_lease(place.socket):
                self._start(place, spec, environment, deadline, lock)
        return place

    def _has_lease(self, path: Path) -> bool:
        """One connection for the life of this object: when the last of all of them closes, the template goes."""
        kept = self._leases.get(path)
        if kept is not None:
            if _is_open(kept):
                return True
            self._leases.pop(path).close()
        try:
            connection = connected(path, seconds=5.0)
        except Unavailable:
            return False
        try:
            send(connection, {"op": "lease"})
            if not receive(connection)["ok"]:
                raise Unavailable("it is ending")
        except (OSError, Unavailable):
            connection.close()
            return False
        self._leases[path] = connection
        return True

    def _start(
        self, place: Place, spec: Spec, environment: Mapping[str, str] | None, deadline: float, lock: IO[str]
    ) -> None:
        if why := _known_failure(place):
            raise Unavailable(why)
        write_private(place.spec, json.dumps({"spec": spec.model_dump()}))
        read, write = os.pipe()
        # With the lock, so that whoever comes while it loads waits for this one and starts no other.
        options = ["--ready", str(write), "--lock", str(lock.fileno())]
        command = [spec.executable, "-m", "orchestration.warm.template", str(place.spec), *options]
        try:
            process = subprocess.Popen(
                command,
                env=dict(os.environ if environment is None else environment),
                pass_fds=[write, lock.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                start_new_session=True,
            )
        except OSError as error:
            os.close(read)
            raise Unavailable(f"it cannot be started: {error}") from error
        finally:
            os.close(write)
        self._started.append(process)
        with os.fdopen(read, "rb") as pipe:
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                # Once ready it is found by the next run, or leaves.
                raise Unavailable(f"it is not ready after {self._start_seconds:.0f} s")
            word = pipe.readline().decode().strip()
        if word != READY:
            raise Unavailable(f"it cannot be loaded: {word or 'it ended'}")
        if not self._has_lease(place.socket):
            raise Unavailable("it was ready, and is gone")

    def close(self) -> None:
        """Without these leases, a template that nobody else uses leaves after its time of grace."""
        for connection in self._leases.values():
            connection.close()
        self._leases.clear()

    def dismiss(self) -> None:
        """Closes, and has templates that nobody else uses end at once, their runs too; back when they are gone."""
        paths = list(self._leases)
        self.close()
        for path in paths:
            _see_off(path)
        for process in self._started:
            if process.poll() is None and not paths:  # it was still loading
                process.terminate()
        for process in self._started:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=FAREWELL_SECONDS)


def _see_off(path: Path) -> None:
    """The template may hear this before it sees that another launcher, which just ended, is gone: so more than once."""
    last_try = time.monotonic() + LEAVE_SECONDS
    with suppress(Unavailable, KeyError):
        while not call(path, {"op": "leave"})["is_leaving"]:
            if time.monotonic() > last_try:
                return
            time.sleep(0.1)
    deadline = time.monotonic() + FAREWELL_SECONDS
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def _locked(place: Place, deadline: float, start_seconds: float) -> Iterator[IO[str]]:
    """Whoever starts the template has it, and the template itself while it loads. Raises Unavailable; at once where the
    template has been loading for longer than `start_seconds`, or every run would wait as long for one that hangs."""
    began = time.monotonic()
    with place.lock.open("a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                hangs = time.monotonic() - began > MOMENT_SECONDS and _loads_since(place) > start_seconds
                if hangs or time.monotonic() > deadline:
                    raise Unavailable("it is still loading") from None
                time.sleep(0.05)
        yield lock


def _loads_since(place: Place) -> float:
    """Seconds. The specification is written when a template starts and when it begins to load anew."""
    try:
        return time.time() - place.spec.stat().st_mtime
    except OSError:
        return 0.0


def _is_open(connection: socket.socket) -> bool:
    """Nothing is ever sent to a lease after its first answer, so something to read means its end."""
    return not select.select([connection], [], [], 0)[0]


def _known_failure(place: Place) -> str | None:
    """Why the template could not be loaded a moment ago, if nothing changed since."""
    try:
        note = json.loads(place.failure.read_text(encoding="utf-8"))
        spec = Spec(**json.loads(place.spec.read_text(encoding="utf-8"))["spec"])
        files = {path: (look[0], look[1]) for path, look in note["files"].items()}
        why, modules, at = str(note["why"]), list(note["modules"]), float(note["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if time.time() - at > FAILURE_HOLDS_SECONDS or watch.changed(files, watch.snapshot(modules, spec.watch)):
        return None
    return f"it cannot be loaded: {why}"
