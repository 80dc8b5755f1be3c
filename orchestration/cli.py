"""The command line: what Dagster and dbt do not give. `tripline --help` lists it."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from orchestration.errors import InputError, TriplineError

STOPPED = 130  # what shells and Typer make of Ctrl-C
DUCKDB_WAS_STOPPED = "Query interrupted"  # what DuckDB makes of it in the middle of a statement

app = typer.Typer(
    name="tripline",
    help="SQL-first behavioural triggers that run in the warehouse.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 problems found, 2 wrong input or configuration, 3 wrong warehouse version, "
    "4 the build failed, 75 busy (try again), 130 stopped.",
)
out = Console()
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for programs.")]


@app.command()
def batch(
    each_file: Annotated[bool, typer.Option("--each-file", help="A batch for each waiting file, by name.")] = False,
    replay: Annotated[bool, typer.Option("--replay", help="The clock is the data's, so that old events fire.")] = False,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Compute all matches anew.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a batch, each on a line.")] = False,
) -> None:
    """One micro-batch by hand or from cron: load what waits, build, decide, publish."""
    from orchestration.commands.batch import run

    run(out, each_file=each_file, replay=replay, full_refresh=full_refresh, as_json=as_json)


@app.command()
def push(
    destination: Annotated[str | None, typer.Option(help="Only this destination.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Log what would go out; send nothing.")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Instead, record matches too old to fire where nobody is messaged.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send the firings that no attempt has settled."""
    from orchestration.commands.push import run

    run(out, destination=destination, dry_run=dry_run or None, is_history=history, as_json=as_json)


Destination = Annotated[str | None, typer.Option(help="Only those of this destination.")]
Reason = Annotated[str | None, typer.Option(help="Only those whose reason contains this, in any case.")]
Since = Annotated[datetime | None, typer.Option(help="Only those last written about at or after this, UTC.")]
Until = Annotated[datetime | None, typer.Option(help="Only those last written about at or before this, UTC.")]
LettersDryRun = Annotated[bool, typer.Option("--dry-run", help="Say what is meant; change nothing.")]


@app.command()
def redeliver(
    destination: Destination = None,
    reason: Reason = None,
    since: Since = None,
    until: Until = None,
    dry_run: LettersDryRun = False,
    as_json: Json = False,
) -> None:
    """Make refused rows (triggers.dead_letters) due again, under the same idempotency keys."""
    from orchestration.commands.letters import run

    run(
        out,
        word=None,
        destination=destination,
        reason=reason,
        since=since,
        until=until,
        keys=None,
        is_dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def release(
    word: Annotated[
        Literal["delivered", "send"], typer.Option("--as", help="delivered: it has them. send: it has not.")
    ],
    keys: Annotated[list[str] | None, typer.Argument(help="Idempotency keys; all that are held otherwise.")] = None,
    destination: Destination = None,
    since: Since = None,
    until: Until = None,
    dry_run: LettersDryRun = False,
    as_json: Json = False,
) -> None:
    """Settle rows in doubt that are held for a person (triggers.dead_letters, status held)."""
    from orchestration.commands.letters import run

    run(
        out,
        word=word,
        destination=destination,
        reason=None,
        since=since,
        until=until,
        keys=keys,
        is_dry_run=dry_run,
        as_json=as_json,
    )


@app.command()
def preview(
    campaign: Annotated[str | None, typer.Option(help="Only this campaign.")] = None,
    destination: Annotated[str | None, typer.Option(help="Only this destination.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Firings of each destination.")] = 10,
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Show e-mail addresses, phone numbers, external ids and names.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What the next push would send, request by request; sends nothing."""
    from orchestration.commands.preview import run

    run(
        out,
        campaign=campaign,
        destination=destination,
        limit=limit,
        is_redacted=not show_personal_data,
        as_json=as_json,
    )


@app.command()
def demo(
    events: Annotated[int, typer.Option(min=2_000, help="Events of the simulated month.")] = 60_000,
    batches: Annotated[int, typer.Option(min=2, max=200, help="Micro-batches of the simulated month.")] = 10,
    home: Annotated[Path | None, typer.Option(help="Folder for the demo's warehouses.")] = None,
) -> None:
    """The main job, end to end: real events, then a simulated month, pushed by Dagster to a local platform."""
    from orchestration.commands.demo import run

    run(out, events=events, batches=batches, home=home)


@app.command()
def collect(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless told.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="8092 unless told; 0 takes a free one.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No line for each request.")] = False,
) -> None:
    """Take events over HTTP (Segment's API, CloudEvents, Snowplow trackers): on disk before they are acknowledged."""
    from orchestration.commands.collect import run

    run(out, host=host, port=port, is_quiet=quiet)


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI on 127.0.0.1.")] = 3000,
    rate: Annotated[float, typer.Option(min=0, help="Simulated events per second; 0 for none.")] = 5.0,
    shop: Annotated[bool, typer.Option("--shop", help="Serve the demo shop, whose visitor you are.")] = False,
) -> None:
    """The Dagster UI with schedule and sensors on, events arriving, the collector, and a local campaign platform."""
    from orchestration.commands.dev import run

    run(out, port=port, rate=rate, has_shop=shop)


@app.command()
def simulate(
    directory: Annotated[Path, typer.Argument(help="Where the files go, for example the landing folder.")],
    events: Annotated[int, typer.Option(min=1, help="How many events.")] = 100_000,
    days: Annotated[float | None, typer.Option(help="Over how many days.")] = None,
    users: Annotated[int | None, typer.Option(help="How many people.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    start: Annotated[datetime | None, typer.Option(help="First day, UTC.")] = None,
    files: Annotated[int, typer.Option(min=1, help="Split into this many files, in arrival order.")] = 1,
    format: Annotated[str, typer.Option(help="jsonl, jsonl.gz or parquet.")] = "jsonl",
    late_share: Annotated[float, typer.Option(min=0, max=1, help="Share of events that come late.")] = 0.02,
    duplicate_share: Annotated[float, typer.Option(min=0, max=1, help="Share of events sent twice.")] = 0.01,
    anonymous_share: Annotated[float, typer.Option(min=0, max=1, help="Share of people who never sign in.")] = 0.1,
    as_json: Json = False,
) -> None:
    """Write a realistic stream of shop events in Segment format."""
    from orchestration.commands.simulate import run

    run(
        out,
        directory,
        as_json=as_json,
        events=events,
        days=days,
        users=users,
        seed=seed,
        start=start,
        files=files,
        format=format,
        late_share=late_share,
        duplicate_share=duplicate_share,
        anonymous_share=anonymous_share,
    )


@app.command()
def triggers(as_json: Json = False) -> None:
    """What is defined, with its thresholds and when it fired last."""
    from orchestration.commands import triggers as command

    command.run(out, as_json=as_json)


@app.command()
def explain(
    user: Annotated[str, typer.Argument(help="A user id, or anon:<device>.")],
    trigger: Annotated[str | None, typer.Option(help="Only this trigger.")] = None,
    as_json: Json = False,
) -> None:
    """What matched for a user, what was decided and why, and how far off the rest was."""
    from orchestration.commands import explain as command

    command.run(out, user, trigger=trigger, as_json=as_json)


@app.command()
def check(as_json: Json = False) -> None:
    """Refuse trigger SQL that knows a clock, reads too much, or does not run the same everywhere."""
    from orchestration.commands.check import run

    run(out, as_json=as_json)


@app.command()
def doctor(
    path: Annotated[str | None, typer.Option(help="Print one path: warehouse, published, landing, home, …")] = None,
    as_json: Json = False,
) -> None:
    """Versions, paths, locks, schema, and what to mend."""
    from orchestration.commands import doctor as command

    command.run(out, path=path, as_json=as_json)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="Folder, or .tar file, to write; must not exist.")],
    as_json: Json = False,
) -> None:
    """Save what nothing can rebuild: raw events, the ledger, deliveries, configuration."""
    from orchestration.commands.keeping import run_backup

    run_backup(out, target, as_json=as_json)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A folder or .tar file that `tripline backup` wrote.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a warehouse that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a backup back; the next batch computes everything else anew."""
    from orchestration.commands.keeping import run_restore

    run_restore(out, source, force=force, as_json=as_json)


@app.command()
def upgrade(as_json: Json = False) -> None:
    """Bring the warehouse to this version's layout, after a copy of it."""
    from orchestration.commands.keeping import run_upgrade

    run_upgrade(out, as_json=as_json)


def main() -> None:
    """Runs the app; an error that a person is meant to read is printed without a traceback."""
    try:
        app()
    except TriplineError as error:
        _end(error.message, error.hint, error.exit_code)
    except OSError as error:
        if not error.filename or not error.strerror:
            raise
        hint = "see `tripline doctor` for the paths in use and the space left"
        _end(f"{error.filename}: {error.strerror}", hint, InputError.exit_code)
    except RuntimeError as error:
        if str(error) != DUCKDB_WAS_STOPPED:
            raise
        _stopped()
    except SystemExit as end:
        if end.code == STOPPED:
            _stopped()
        raise


def _end(message: str, hint: str, exit_code: int) -> NoReturn:
    err.print(f"[bold red]error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    if hint:
        err.print(f"  {escape(hint)}", highlight=False, soft_wrap=True)
    sys.exit(exit_code)


def _stopped() -> NoReturn:
    err.print("stopped; the next run takes up what this one left")
    sys.exit(STOPPED)
