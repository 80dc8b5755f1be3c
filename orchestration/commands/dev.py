"""`tripline dev`: the Dagster UI with everything on, a stream of events, and a platform that takes the webhooks."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from orchestration.commands.services import ended_by_signals, local_platform, stop
from orchestration.errors import ConfigError, TriplineError
from orchestration.settings import Settings, get_settings
from orchestration.warm.beforehand import warmed

PLATFORM_PORT = 8091


def run(console: Console, *, port: int, rate: float) -> None:
    """Runs until Ctrl-C. A webhook that is configured already is used instead of the local platform.

    Raises ConfigError where another program listens on `port`, TriplineError where Dagster ends by itself.
    """
    settings = get_settings()
    if not is_free(port):
        raise ConfigError(
            f"port {port} of 127.0.0.1 is taken by another program",
            f"end it (an earlier `make dev`?), or take another port: .venv/bin/tripline dev --port {port + 1}",
        )
    settings.landing_path.mkdir(parents=True, exist_ok=True)
    with (
        ended_by_signals(),
        _platform_url(settings) as platform_url,
        _dagster(settings, port) as dagster,
        _arriving(settings, rate),
    ):
        console.print(f"[bold]Dagster[/]            http://127.0.0.1:{port}   (ready in about 20 seconds)")
        console.print(f"[bold]campaign platform[/]  {platform_url}")
        console.print(f"[bold]landing folder[/]     {settings.landing_path}", soft_wrap=True, highlight=False)
        console.print("Ctrl-C ends it all.")
        try:
            code = dagster.wait()
        except KeyboardInterrupt:
            console.print("stopping")
            return
    raise TriplineError(f"Dagster ended by itself, with exit code {code}", "its own words are above")


def is_free(port: int) -> bool:
    """Whether nobody listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a server that just ended counts
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def _platform_url(settings: Settings) -> Iterator[str]:
    if settings.webhook_url:
        yield "the one of TRIPLINE_WEBHOOK_URL"  # not shown: it may hold a token
        return
    with local_platform(settings.home, port=PLATFORM_PORT if is_free(PLATFORM_PORT) else 0) as platform:
        yield platform.url


@contextmanager
def _dagster(settings: Settings, port: int) -> Iterator[subprocess.Popen[bytes]]:
    from orchestration.dagster_home import dev_command

    command, environment = dev_command(settings, port=port)
    with warmed(settings, environment):
        dagster = subprocess.Popen(command, env=environment, start_new_session=True)
        try:
            yield dagster
        finally:
            stop(dagster)


@contextmanager
def _arriving(settings: Settings, rate: float) -> Iterator[None]:
    from orchestration.simulate import stream

    ending = threading.Event()
    if rate > 0:
        threading.Thread(
            target=stream, args=(settings.landing_path, rate), kwargs={"stop_event": ending}, daemon=True
        ).start()
    try:
        yield
    finally:
        ending.set()
