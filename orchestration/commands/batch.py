"""`tripline batch`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from orchestration.interrupts import heard_interrupts
from orchestration.load import waiting_files
from orchestration.pipeline import BatchOutcome, run_batch
from orchestration.settings import get_settings

FIRST_BUILD = "the first build"  # full as well, and no news


def run(console: Console, *, each_file: bool, replay: bool, full_refresh: bool, as_json: bool) -> None:
    """Runs one batch, or one for each waiting file, and prints each as it ends. Exit code 1 where a data test failed or
    a stream could not be read: everything else is built, and a person has to look."""
    settings = get_settings()
    settings.landing_path.mkdir(parents=True, exist_ok=True)
    files = sorted(waiting_files(settings, wait=True))
    groups: list[list[Path] | None] = [[file] for file in files] if each_file and files else [files or None]
    has_problems = False
    with console.status("") as status, heard_interrupts() as stop_if_asked:
        for number, group in enumerate(groups, start=1):
            place = f"batch {number} of {len(groups)}: " if len(groups) > 1 else ""
            outcome = run_batch(
                settings,
                replay=replay,
                files=group,
                full_refresh=full_refresh and number == 1,
                progress=partial(_tell, status, place, stop_if_asked),
            )
            if as_json:
                print(outcome.model_dump_json())
            else:
                show(console, outcome)
            has_problems = has_problems or bool(outcome.build and outcome.build.failed_tests)
            has_problems = has_problems or bool(outcome.load.streams_failed)
    if has_problems:
        raise typer.Exit(1)


def _tell(status: Status, place: str, stop_if_asked: Callable[[], None], step: str) -> None:
    stop_if_asked()
    status.update(f"{place}{step}")


def show(console: Console, outcome: BatchOutcome) -> None:
    """One line on what was loaded, one on what was decided, and one for each thing that needs a person's eye."""
    loaded = outcome.load
    if loaded.batch_id is None:
        console.print("nothing to load")
    else:
        console.print(
            f"[bold]batch {loaded.batch_id}[/]  {loaded.clock_at:%Y-%m-%d %H:%M:%S} UTC  "
            f"{loaded.events_read:,} read = {loaded.events_loaded:,} loaded + {loaded.events_duplicate:,} duplicate "
            f"+ {loaded.events_quarantined:,} quarantined",
            highlight=False,
        )
    if outcome.full_reason and outcome.full_reason != FIRST_BUILD:
        console.print(f"  all matches computed anew: {escape(outcome.full_reason)}", highlight=False, soft_wrap=True)
    for reason, count in loaded.quarantined.items():
        console.print(f"  quarantined: {count:,} {reason}", style="yellow")
    for note in loaded.files_set_aside:
        console.print(f"  set aside: {escape(note.file_name)}: {escape(note.reason)}", style="yellow", soft_wrap=True)
    for note in [*loaded.files_left, *loaded.files_not_moved]:
        console.print(f"  {escape(note.file_name)}: {escape(note.reason)}", style="yellow", soft_wrap=True)
    for stream in loaded.streams_failed:
        console.print(f"  {escape(stream.reason)}\n    {escape(stream.what_to_do)}", style="red", soft_wrap=True)
    for partition in loaded.partitions:
        if partition.is_idle:
            console.print(
                f"  {escape(partition.source_name)}: {escape(partition.partition)} is idle and does not hold the "
                "watermark back",
                style="dim",
                soft_wrap=True,
            )
    for note in loaded.files_known:
        console.print(f"  {escape(note.file_name)}: {escape(note.reason)}", style="dim", soft_wrap=True)
    for test in outcome.build.failed_tests if outcome.build else []:
        console.print(f"  data test failed: {escape(test)}", style="red", soft_wrap=True)
    decided = {name: counts for name, counts in outcome.decided.items() if counts}
    for name, counts in decided.items():
        words = ", ".join(f"{count} {outcome_name}" for outcome_name, count in counts.items())
        console.print(f"  {name}: {words}", highlight=False)
