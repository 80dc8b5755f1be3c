"""dbt for `tripline batch`, by a template that is there already."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from orchestration.errors import BuildFailed
from orchestration.settings import Settings
from orchestration.warm.places import FOLDER, Place, is_wanted
from orchestration.warm.wire import ANSWER_SECONDS, Message, Unavailable, connected, encode, receive

REPORT = "TRIPLINE_TEMPLATE_REPORT"


def sockets(settings: Settings) -> list[Path]:
    """Where templates of this Dagster home listen, or did."""
    specs = sorted((settings.dagster_path / FOLDER).glob("*.json"))
    places = [Place(path.parent, path.stem) for path in specs if "." not in path.stem and path.stem.isalnum()]
    found = []
    for place in places:
        with suppress(Unavailable):
            found.append(place.socket)
    return [path for path in found if path.exists()]


def dbt_by_template(settings: Settings, arguments: Sequence[str], environment: Mapping[str, str]) -> Any | None:
    """What dbt reported (`dbt_runs._write_report`), or None where no template would run this command.

    Ctrl-C is passed on, and raised here when dbt has let go of the warehouse. Raises BuildFailed where the template
    ended before dbt.
    """
    if not is_wanted(settings):
        return None
    descriptor, name = tempfile.mkstemp(prefix="tripline-dbt-", suffix=".json")
    os.close(descriptor)
    report = Path(name)
    message: Message = {
        "op": "dbt",
        "arguments": list(arguments),
        "environment": {**os.environ, **environment, REPORT: name},
        "folder": str(Path.cwd()),
    }
    try:
        for path in sockets(settings):
            with suppress(Unavailable), closing(connected(path, ANSWER_SECONDS)) as connection:
                if (pid := _ask(connection, message)) is not None:
                    _wait(connection, pid)
                    return _read(report)
        return None
    finally:
        report.unlink(missing_ok=True)


def _ask(connection: socket.socket, message: Message) -> int | None:
    """The process of the dbt that was forked; None where it was refused or the answer did not come."""
    line = encode(message)
    with Path(os.devnull).open("wb") as nowhere:
        try:
            sent = socket.send_fds(connection, [line], [nowhere.fileno()] * 2)
            if rest := line[sent:]:  # to send nothing is an error too where the other end is gone
                connection.sendall(rest)
            answer = receive(connection)
        except OSError:
            return None  # closing the connection ends whatever was forked
    return int(answer["pid"]) if answer["ok"] else None


def _wait(connection: socket.socket, pid: int) -> None:
    connection.settimeout(None)
    with _passing_on_interrupts(connection, pid):
        try:
            receive(connection)
        except OSError as error:
            raise _lost() from error


@contextmanager
def _passing_on_interrupts(connection: socket.socket, pid: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
        with suppress(OSError):
            receive(connection)
        raise


def _read(report: Path) -> Any:
    text = report.read_text(encoding="utf-8")
    if not text:  # it was killed
        raise _lost()
    return json.loads(text)


def _lost() -> BuildFailed:
    return BuildFailed(
        "dbt ended without a word, or its template did",
        "nothing is lost: the next batch builds from where the last whole build ended",
    )
