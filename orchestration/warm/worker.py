"""What a process does that the template forked."""

from __future__ import annotations

import atexit
import ctypes
import os
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import util
from typing import NoReturn

ASKED_TO_END = (signal.SIGINT, signal.SIGTERM)
CRASHED = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130
PR_SET_PDEATHSIG = 1


def become_worker(work: Callable[[], int], parent: int, let_go: Callable[[], None]) -> NoReturn:
    """Ends this process with what `work` returns. `let_go` closes what belongs to the template."""
    code = CRASHED
    try:
        _leave_the_template(parent, let_go)
        code = work()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            _tidy_up()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)


def _leave_the_template(parent: int, let_go: Callable[[], None]) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in ASKED_TO_END:
        signal.signal(number, signal.default_int_handler)
    os.setpgid(0, 0)
    die_with(parent)
    let_go()
    # What modules registered when the template imported them is for the template's end: temporary folders, for example.
    atexit._clear()
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    # Blocked since before the fork, so that a call to end which came at once is heard and not lost.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED_TO_END)


def die_with(parent: int) -> None:
    """A run without its template could be neither seen nor terminated. The kernel tells us when the thread that forked
    us ends; the template has only that one."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent:
        raise SystemExit(INTERRUPTED)


def _tidy_up() -> None:
    """As multiprocessing ends its own forks: without it, semaphores that dbt made stay in shared memory."""
    for number in ASKED_TO_END:
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
    sys.stderr.flush()
    util._exit_function()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def execute_run(arguments: str) -> int:
    """Dagster's own command for a run, in this process, as container launchers call it. `arguments` is a serialized
    ExecuteRunArgs; the return value 1 means that the run failed, which its log says too."""
    from dagster._cli.api import execute_run_command

    from orchestration.warm import event_log

    event_log.keep_connections()
    try:
        execute_run_command.main([arguments], standalone_mode=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    else:
        return 0
    finally:
        # A process of its own would wait for these too.
        threading._shutdown()  # type: ignore[attr-defined]
        event_log.close_connections()


def settle(arguments: str, how: str, was_terminated: bool) -> int:
    """Where the process of a run is gone and nobody wrote how the run ended: writes it. `how`: words for people."""
    from dagster import DagsterInstance
    from dagster._grpc.types import ExecuteRunArgs
    from dagster._serdes import deserialize_value

    given = deserialize_value(arguments, ExecuteRunArgs)
    assert given.instance_ref is not None
    with DagsterInstance.from_ref(given.instance_ref) as instance:
        run = instance.get_run_by_id(given.run_id)
        if run is None or run.is_finished:
            return 0
        if was_terminated:
            instance.report_run_canceled(run, f"The process of this run ended ({how}) after it was asked to.")
        else:
            told = f"The process of this run ended unexpectedly ({how}). Nothing is lost: the next run catches up."
            instance.report_run_failed(run, told)
    return 0


def words_of(code: int) -> str:
    """How a process ended, from subprocess's notation: negative for a signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"by signal {-code}"
