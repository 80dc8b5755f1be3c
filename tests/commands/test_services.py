"""What `tripline dev` and the demo start ends with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestration.commands.services import local_platform, stop
from orchestration.destinations.registry import DESTINATIONS
from orchestration.destinations.settings import PushSettings

# A leader that ends at once, and a child of it that does not hear the first call.
STUBBORN = """
import subprocess, sys
child = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
started = subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE)
started.stdout.readline()
print(started.pid, flush=True)
started.wait()
"""
# What dev and the demo do, with a process that ends when it is told to.
SERVICE = """
import subprocess, sys
from orchestration.commands.services import ended_by_signals, stop
with ended_by_signals():
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    started = subprocess.Popen(wait, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        print(started.pid, flush=True)
        started.wait()
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        stop(started)
"""


def is_running(pid: int) -> bool:
    """Whether the process is there and no mere entry that its parent has not read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_service_is_gone_with_all_that_it_started_even_what_does_not_listen() -> None:
    service = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True)
    assert service.stdout
    child = int(service.stdout.readline())
    stop(service, seconds=1)
    service.stdout.close()
    deadline = time.monotonic() + 10
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert service.poll() is not None
    assert not is_running(child)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_ends_the_command_ends_its_services_also_in_the_background_of_a_shell(number: signal.Signals) -> None:
    # A shell without job control starts background processes with SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        command = subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, env=dict(os.environ))
    finally:
        signal.signal(signal.SIGINT, before)
    with command:
        assert command.stdout
        service = int(command.stdout.readline())
        command.send_signal(number)
        assert command.stdout.read() == b"stopping\n"
    assert command.returncode == 0
    assert not is_running(service)


def test_the_demo_sends_to_no_platform_but_its_own_unless_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRIPLINE_PUSH_DRY_RUN", raising=False)
    with local_platform(tmp_path, others_are_dry=True):
        assert set(PushSettings().dry_run) == DESTINATIONS.keys() - {"webhook"}
    assert not PushSettings().dry_run
    monkeypatch.setenv("TRIPLINE_PUSH_DRY_RUN", '["braze"]')
    with local_platform(tmp_path, others_are_dry=True):
        assert list(PushSettings().dry_run) == ["braze"]
