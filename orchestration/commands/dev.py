"""`tripline dev`: the Dagster UI with everything on, a stream of events, and a platform that takes the webhooks."""

from __future__ import annotations

import subprocess
import threading

from rich.console import Console

from orchestration.commands.services import local_platform, stop
from orchestration.settings import get_settings


def run(console: Console, *, port: int, rate: float) -> None:
    """Runs until Ctrl-C. A webhook that is configured already is used instead of the local platform."""
    from orchestration.dagster_home import dev_command
    from orchestration.simulate import stream

    settings = get_settings()
    settings.landing_path.mkdir(parents=True, exist_ok=True)
    ending = threading.Event()
    with local_platform(settings.home, port=8091) as platform:
        command, environment = dev_command(settings, port=port)
        dagster = subprocess.Popen(command, env=environment, start_new_session=True)
        if rate > 0:
            arriving = threading.Thread(
                target=stream, args=(settings.landing_path, rate), kwargs={"stop_event": ending}, daemon=True
            )
            arriving.start()
        console.print(f"[bold]Dagster[/]            http://127.0.0.1:{port}   (ready in about 20 seconds)")
        console.print(f"[bold]campaign platform[/]  {platform.url}")
        console.print(f"[bold]landing folder[/]     {settings.landing_path}", soft_wrap=True, highlight=False)
        console.print("Ctrl-C ends it all.")
        try:
            dagster.wait()
        except KeyboardInterrupt:
            console.print("stopping")
        finally:
            ending.set()
            stop(dagster)
