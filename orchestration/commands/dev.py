"""`tripline dev`: the Dagster UI with everything on, a stream of events, and a platform that takes the webhooks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console

from orchestration.commands.services import ended_by_signals, local_platform, stop
from orchestration.errors import ConfigError, TriplineError
from orchestration.settings import Settings, get_settings
from orchestration.warm.beforehand import warmed

PLATFORM_PORT = 8091
COLLECTOR_PORT = 8092
START_SECONDS = 30.0


def run(console: Console, *, port: int, rate: float, has_shop: bool = False) -> None:
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
        _collector(settings, has_shop) as collector_url,
        _dagster(settings, port) as dagster,
        _arriving(settings, rate),
    ):
        console.print(f"[bold]Dagster[/]            http://127.0.0.1:{port}   (ready in about 20 seconds)")
        console.print(f"[bold]campaign platform[/]  {platform_url}")
        console.print(f"[bold]collector[/]          {collector_url}")
        if has_shop:
            console.print(f"[bold]demo shop[/]          {collector_url}/shop/")
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
def _collector(settings: Settings, has_shop: bool) -> Iterator[str]:
    """Raises TriplineError where it does not come up, with what it said."""
    port = COLLECTOR_PORT if is_free(COLLECTOR_PORT) else free_port()
    log = settings.home / "logs" / "collector.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(Path(sys.executable).with_name("tripline")), "collect", "--port", str(port)]
    environment = {**os.environ, **settings.place_variables, "TRIPLINE_COLLECTOR_SHOP": str(has_shop).lower()}
    with log.open("w") as output:
        collector = subprocess.Popen(command, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_until_healthy(url, collector, log)
        yield url
    finally:
        stop(collector)


def _wait_until_healthy(url: str, collector: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and collector.poll() is None:
        try:
            if httpx.get(f"{url}/health").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TriplineError("the collector did not start", log.read_text(errors="replace").strip() or f"see {log}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
