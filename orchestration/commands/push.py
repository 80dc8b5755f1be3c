"""`tripline push`."""

from __future__ import annotations

import json

from rich.console import Console

from orchestration.publish import publish
from orchestration.push import push
from orchestration.settings import get_settings


def run(
    console: Console, *, destination: str | None, dry_run: bool | None, is_history: bool = False, as_json: bool
) -> None:
    """Pushes once; raises the first destination's problem after everything was shown."""
    settings = get_settings()
    with console.status("pushing"):
        report = push(settings, destination=destination, dry_run=dry_run, is_history=is_history)
    publish(settings)
    if as_json:
        print(json.dumps(report.as_dict(), default=str))
    elif not report.counts:
        console.print("nothing to send")
    for name, counts in {} if as_json else report.counts.items():
        console.print(f"{name}: " + ", ".join(f"{count} {status}" for status, count in counts.items()), highlight=False)
    for name, rows in {} if as_json else report.held.items():
        console.print(f"{name}: {rows} in doubt, held for a person", style="yellow")
    for name in [] if as_json else report.resting:
        console.print(f"{name}: failed too often in a row; it is tried again after a pause", style="yellow")
    report.raise_problems()
