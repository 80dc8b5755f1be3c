"""What the demo and `make dev` start beside the pipeline: the local campaign platform and Dagster."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from orchestration.destinations.registry import Registry
from orchestration.errors import TriplineError, WarehouseLocked
from orchestration.platform import CampaignPlatform
from orchestration.settings import Settings
from orchestration.warehouse import connect, read_sql
from orchestration.warm.beforehand import warmed

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DRY_RUN = "TRIPLINE_PUSH_DRY_RUN"
PUSH_TIMEOUT_SECONDS = 240  # two Dagster starts on two busy cores


@contextmanager
def local_platform(home: Path, *, port: int = 0, others_are_dry: bool = False) -> Iterator[CampaignPlatform]:
    """A campaign platform on 127.0.0.1, with the environment pointing the webhook at it while it runs.

    The secret is made anew, is kept nowhere and signs only this platform's messages. With `others_are_dry` nothing goes
    to any other destination, unless TRIPLINE_PUSH_DRY_RUN says which ones do.
    """
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
    home.mkdir(parents=True, exist_ok=True)
    with CampaignPlatform(home / "platform.jsonl", secret, port=port) as platform:
        variables = {"TRIPLINE_WEBHOOK_URL": platform.hook_url, "TRIPLINE_WEBHOOK_SECRET": secret}
        if others_are_dry and DRY_RUN not in os.environ:
            variables[DRY_RUN] = json.dumps(_others(home))
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield platform
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _others(home: Path) -> list[str]:
    return [name for name in Registry(settings=Settings.all_in(home)).names() if name != "webhook"]


def firings_pushed_by_dagster(settings: Settings, progress: Callable[[int], None]) -> None:
    """Runs Dagster's daemon on the warehouse until its sensor has emptied the outbox.

    Raises TriplineError where that takes longer than PUSH_TIMEOUT_SECONDS, naming Dagster's log.
    """
    from orchestration.dagster_home import ready_dagster_home

    dagster_home = ready_dagster_home(settings)
    log = settings.home / "logs" / "dagster-daemon.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **settings.place_variables, "DAGSTER_HOME": str(dagster_home)}
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-m", "orchestration.definitions"]
    with log.open("wb") as output, warmed(settings, environment, output):
        daemon = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait_for_empty_outbox(settings, daemon, log, progress)
        finally:
            stop(daemon)


def _wait_for_empty_outbox(
    settings: Settings, daemon: subprocess.Popen[bytes], log: Path, progress: Callable[[int], None]
) -> None:
    deadline = time.monotonic() + PUSH_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            with connect(settings.warehouse_path, read_only=True) as connection:
                left = connection.execute(read_sql("outbox_size")).fetchall()[0][0]
        except WarehouseLocked:
            left = None
        if left == 0:
            return
        if left is not None:
            progress(left)
        if daemon.poll() is not None:
            break
        time.sleep(1.0)
    raise TriplineError("Dagster did not push everything that fired", f"its log says why: {log}")


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Whatever asks this process to end (Ctrl-C, a closed terminal, a supervisor) raises KeyboardInterrupt, so that
    what it started ends with it.

    SIGINT too: a shell that starts this in the background has it ignored, and so would Dagster and all of its
    processes, which tell each other to end in that way.
    """
    before = {number: signal.signal(number, signal.default_int_handler) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(process: subprocess.Popen[bytes], seconds: float = 20.0) -> None:
    """Asks the process's whole group to end, then makes it. Back when none of the group is left, so that whoever asked
    may start again at once, on the same port and in the same home."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    deadline = time.monotonic() + seconds
    while _is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.1)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _is_alive(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # or the leader would count for as long as nobody asks how it ended
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
