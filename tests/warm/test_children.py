"""Who is asked to end and does not hear it."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A process of its own forks, as a template does: this one has threads.
TEMPLATE = """
import os, signal, sys, time
from orchestration.warm import children as module
from orchestration.warm.children import Children

def deaf():
    heard = []
    signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    os.write(write, b"x")
    while len(heard) < 2:
        time.sleep(0.05)
    return 7

module.ASK_AGAIN_SECONDS = 0.5
read, write = os.pipe()
children = Children(lambda: None)
child = children.fork(sys.argv[1], "a run", deaf)
if len(sys.argv) > 2:
    children.fork("dbt", "a run", lambda: time.sleep(60))
os.read(read, 1)
asked = time.monotonic()
children.ask_to_end(child, float(5))
while True:
    children.press()
    for gone, code in children.reap():
        if gone is child:
            print(code, time.monotonic() - asked)
            for left in children:
                os.kill(left.pid, signal.SIGKILL)
            sys.exit()
    time.sleep(0.05)
"""


def ended(*arguments: str) -> tuple[int, float]:
    command = [sys.executable, "-c", TEMPLATE, *arguments]
    code, seconds = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    return int(code), float(seconds)


@pytest.mark.parametrize("kind", ["run", "dbt"])
def test_who_missed_the_call_to_end_is_asked_again_long_before_it_is_killed(kind: str) -> None:
    code, seconds = ended(kind)
    assert code == 7 and seconds < 5


def test_a_run_that_waits_for_its_dbt_is_not_torn_away_from_it(capfd: pytest.CaptureFixture[str]) -> None:
    code, seconds = ended("run", "with dbt")
    assert code == -9 and seconds >= 5
