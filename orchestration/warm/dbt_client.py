"""Stands in for the dbt executable: the run's template forks a dbt that is loaded already, and here its words, signals
and exit code are passed on. Whatever is not as it should be, the real dbt runs instead.

Started as `python -I -S dbt_client.py <real dbt> <dbt's arguments>`, so nothing but the standard library is there.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import signal
import socket
import sys

FORK_SECONDS = 20.0  # a template answers in hundredths of a second, unless the machine is very busy
NO_EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h: the template ended before dbt did


def main(dbt: str, arguments: list[str]) -> int:
    version = os.environ.get("TRIPLINE_TEMPLATE_DBT_VERSION")
    if arguments == ["--version"] and version:
        # dagster-dbt asks each time, and the real one takes two seconds to answer.
        print(f"Core:\n  - installed: {version}")
        return 0
    path = os.environ.get("TRIPLINE_TEMPLATE_SOCKET")
    if path:
        try:
            lines, pid = ask(path, arguments)
        except (OSError, ValueError, KeyError) as error:
            # dagster-dbt shows this line among dbt's own.
            print(f"dbt runs in a process of its own: {error}", file=sys.stderr, flush=True)
        else:
            return follow(lines, pid)
    os.execv(dbt, [dbt, *arguments])
    raise AssertionError("execv returned")


def ask(path: str, arguments: list[str]):  # type: ignore[no-untyped-def]
    """(what the template says, the process of its dbt). Raises OSError, ValueError or KeyError where it will not."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(FORK_SECONDS)
    connection.connect(path)
    message = {"op": "dbt", "arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
    line = json.dumps(message).encode() + b"\n"
    streams = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]))]
    sent = connection.sendmsg([line], streams)
    if rest := line[sent:]:  # to send nothing is an error too where the other end is gone
        connection.sendall(rest)
    lines = connection.makefile("rb")
    first = json.loads(lines.readline())
    if not first["ok"]:
        raise OSError(first["why"])
    connection.settimeout(None)
    return lines, int(first["pid"])


def follow(lines, pid: int) -> int:  # type: ignore[no-untyped-def]
    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    try:
        return int(json.loads(lines.readline())["exit"])
    except (OSError, ValueError, KeyError):
        return NO_EXIT_CODE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
