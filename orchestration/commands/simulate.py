"""`tripline simulate`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from orchestration.simulate import simulate


def run(console: Console, directory: Path, *, as_json: bool, events: int, **options: Any) -> None:
    """Writes the stream with a progress bar and prints what it holds."""
    columns = (TextColumn("writing events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=as_json) as bar:
        task = bar.add_task("events", total=events)
        report = simulate(directory, events=events, progress=lambda done: bar.update(task, completed=done), **options)
    if as_json:
        print(json.dumps(dataclasses.asdict(report), default=str))
        return
    console.print(
        f"{report.events:,} events of {report.users:,} users in {len(report.files)} file(s), "
        f"{report.first_received_at:%Y-%m-%d} to {report.last_received_at:%Y-%m-%d}, "
        f"{report.late:,} late, {report.duplicates:,} sent twice, in {report.seconds:.1f} s",
        highlight=False,
    )
    console.print(f"in {directory}", highlight=False, soft_wrap=True)
