"""`tripline collect`: the collector, until Ctrl-C."""

from __future__ import annotations

import logging

from rich.console import Console

from orchestration.collector.keys import keys_file, make_first_key
from orchestration.collector.readers import make_first_read_key, read_keys_file
from orchestration.collector.server import serve
from orchestration.collector.settings import get_collector_settings
from orchestration.collector.spool import Spool
from orchestration.settings import get_settings


def run(console: Console, *, host: str | None, port: int | None, is_quiet: bool) -> None:
    """`is_quiet`: no line for each request. Raises ConfigError."""
    settings, collector = get_settings(), get_collector_settings()
    given = {"host": host, "port": port}
    collector = collector.model_copy(update={name: value for name, value in given.items() if value is not None})
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    if make_first_key(settings, collector):
        console.print(f"a write key for the source `site` was made: {keys_file(settings, collector)}", soft_wrap=True)
    read_keys = read_keys_file(settings, collector)
    if make_first_read_key(settings, collector):
        console.print(f"a read key was made: {read_keys}", soft_wrap=True)
    if is_quiet:
        logging.getLogger("tripline.access").disabled = True

    def ready(address: str, spool: Spool) -> None:
        if spool.recovered:
            console.print(f"{spool.recovered} slices of an earlier run are in the landing folder now")
        console.print(f"[bold]collector[/]       {address}   Ctrl-C ends it", highlight=False)
        console.print(f"[bold]write keys[/]      {keys_file(settings, collector)}", soft_wrap=True, highlight=False)
        console.print(f"[bold]read keys[/]       {read_keys}", soft_wrap=True, highlight=False)
        console.print(f"[bold]landing folder[/]  {settings.landing_path}", soft_wrap=True, highlight=False)

    serve(settings, collector, ready)
    console.print("everything that was acknowledged is in the landing folder")
