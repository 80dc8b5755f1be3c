"""No test follows what somebody exported for a warehouse of their own, or how somebody's shell started the tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from filelock import FileLock

# Settings of the tests themselves.
KEPT = ("TRIPLINE_SHARED_DATA", "TRIPLINE_REPLAY_")

for name in [name for name in os.environ if name.startswith("TRIPLINE_") and not name.startswith(KEPT)]:
    del os.environ[name]

# A shell that starts the tests in the background has Ctrl-C ignored, and so would everything that a test starts and
# then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules file of the project as it is: 10 to 20 s, once for all workers."""
    from orchestration.settings import Settings  # not before the variables are gone
    from orchestration.validation.rules import rules_file

    shared = tmp_path_factory.getbasetemp().parent / "rules-of-the-project"
    with FileLock(f"{shared}.lock"):
        return rules_file(Settings.all_in(shared))
