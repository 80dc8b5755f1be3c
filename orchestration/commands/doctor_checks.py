"""What the doctor makes of what was found: each check gives problems with what to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from importlib import metadata
from typing import Any

from packaging.requirements import Requirement

from orchestration.commands.diagnosis import DoctorReport, Problem
from orchestration.commands.words import count, duration, listed, size, when
from orchestration.errors import ConfigError
from orchestration.settings import Settings
from orchestration.sources.declarations import read_declarations

LOW_DISK_BYTES = 2_000_000_000  # publishing copies the database, a full refresh spills to disk
CLOCK_TOLERANCE = timedelta(minutes=5)  # as much future as an event may claim (semantics, section 1)
OLD_OUTBOX = timedelta(hours=1)
OLD_DATA = timedelta(days=1)  # older than every shipped max_age but win_back's
QUARANTINE_SHARE = 0.1


def find_problems(
    report: DoctorReport, settings: Settings, warehouse_problem: str, progress: list[dict[str, Any]]
) -> list[Problem]:
    """All problems, those that need a person first. `progress`: the active sources, the least advanced first."""
    found = [
        *_versions(),
        *_places(report),
        *_lock(report, warehouse_problem),
        *_schema(report),
        *_declarations(settings),
        *_build(report),
        *_clock(report, progress),
        *_landing(report),
        *_quarantine(report),
        *_outbox(report),
    ]
    return sorted(found, key=lambda problem: problem.severity == "note")


def _problem(what: str, fix: str) -> Problem:
    return Problem(severity="problem", what=what, fix=fix)


def _note(what: str, fix: str) -> Problem:
    return Problem(severity="note", what=what, fix=fix)


def _versions() -> Iterator[Problem]:
    """What pyproject.toml asks for against what is installed."""
    try:
        wanted = [Requirement(line) for line in metadata.requires("tripline") or []]
    except metadata.PackageNotFoundError:
        yield _problem("tripline is not installed in this environment", "run `make setup`")
        return
    for requirement in wanted:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield _problem(f"{requirement.name} is not installed", "run `make setup`")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield _problem(f"{requirement.name} is {version}, not {requirement.specifier}", "run `make setup`")


def _places(report: DoctorReport) -> Iterator[Problem]:
    if report.free_disk_bytes < LOW_DISK_BYTES:
        yield _problem(f"only {size(report.free_disk_bytes)} of disk left", f"make room below {report.paths.home}")
    if report.paths.warehouse == report.paths.published:
        yield _problem("warehouse and published database are one file", "give TRIPLINE_PUBLISHED a path of its own")
    if not report.places["landing"].exists:
        fix = f"create {report.paths.landing}, or run `tripline batch`, and put event files there"
        yield _note("there is no landing folder yet", fix)
    if report.places["warehouse"].exists and not report.places["published"].exists and report.last_build:
        yield _note("nothing is published yet", "the next `tripline batch` publishes")


def _lock(report: DoctorReport, problem: str) -> Iterator[Problem]:
    lock = report.lock
    if lock.state == "missing":
        fix = "put event files into the landing folder and run `tripline batch`, or try `make demo`"
        yield _note("there is no warehouse yet", fix)
    elif lock.state == "locked":
        who = f"process {lock.holder.pid} ({lock.holder.command})" if lock.holder else "another process"
        yield _note(
            f"the warehouse is held by {who}",
            "if it is a batch, wait for it; if it is a session of yours, close it and open the published database",
        )
    elif lock.state == "unreadable":
        yield _problem(f"the warehouse cannot be read: {problem}", "bring back a backup with `tripline restore`")
    elif lock.left_log_bytes:
        yield _note("the last writer did not close the warehouse", "nothing to do: the next batch takes up its log")


def _schema(report: DoctorReport) -> Iterator[Problem]:
    if report.missing_columns:
        yield _problem(
            f"the warehouse is of another version: it lacks {listed(report.missing_columns)}", "run `tripline upgrade`"
        )


def _declarations(settings: Settings) -> Iterator[Problem]:
    try:
        read_declarations(settings.sources_path)
    except ConfigError as error:
        yield _problem(error.message, error.hint or f"mend the declaration in {settings.sources_path}")


def _build(report: DoctorReport) -> Iterator[Problem]:
    batch, build = report.last_batch, report.last_build
    if batch and build is None:
        yield _problem(f"batch {batch.batch_id} is loaded, but nothing was ever built", "run `tripline batch`")
    elif batch and build and batch.batch_id > build.built_batch_id:
        yield _problem(
            f"batch {batch.batch_id} is loaded, but the tables are those of batch {build.built_batch_id}",
            f"run `tripline batch`; if the build fails again, its log is in {report.paths.home}/logs",
        )
    elif build and build.is_unfinished:
        yield _problem("the last build did not end well", "run `tripline batch`: it starts from the last whole one")


def _clock(report: DoctorReport, progress: list[dict[str, Any]]) -> Iterator[Problem]:
    batch, now = report.last_batch, report.checked_at
    if batch is None:
        return
    if batch.finished_at > now + CLOCK_TOLERANCE:
        yield _problem(
            f"the last batch ended {when(batch.finished_at)}, and this machine says it is {when(now)}",
            "set this machine's clock: decisions made before it catches up keep the later time",
        )
    elif batch.clock_at > now + CLOCK_TOLERANCE:
        ahead = duration((batch.clock_at - now).total_seconds())
        yield _problem(
            f"the clock of the last batch is {when(batch.clock_at)}, {ahead} ahead",
            "it never goes back: live batches keep that time until then. Replay the future in a home of its own",
        )
    oldest = progress[0]["complete_through"] if progress else batch.complete_through
    if oldest and not batch.is_replay and batch.clock_at - oldest > OLD_DATA:
        which = f"source {progress[0]['source_name']}" if progress else "what is loaded"
        yield _note(
            f"{which} is complete through {when(oldest)}, {duration((batch.clock_at - oldest).total_seconds())} "
            "behind the batch's clock: its matches are stale, and absences wait for it",
            "for history, load with `tripline batch --replay`; pause a source that has ended (`paused: true`)",
        )


def _landing(report: DoctorReport) -> Iterator[Problem]:
    landing = report.landing
    if landing.unreadable:
        yield _problem(landing.unreadable, "give the user who runs Tripline the right to read and write there")
    if landing.waiting:
        waiting = f"{count(landing.waiting, 'file')} ({size(landing.waiting_bytes)})"
        yield _note(f"to be loaded: {waiting}", "run `tripline batch`")
    for file in landing.set_aside[:5]:
        yield _problem(
            f"{file.file_name} was set aside: {file.reason}",
            "mend it and put it back into the landing folder, or delete it from .set_aside/",
        )
    if len(landing.set_aside) > 5:
        more = len(landing.set_aside) - 5
        yield _problem(f"{count(more, 'more file')} set aside", "see .set_aside/ in the landing folder")


def _quarantine(report: DoctorReport) -> Iterator[Problem]:
    batch = report.last_batch
    if not batch or not batch.events_quarantined:
        return
    reasons = ", ".join(f"{events:,} {reason}" for reason, events in report.quarantined.items())
    what = f"{batch.events_quarantined:,} of {batch.events_read:,} events of batch {batch.batch_id} are in quarantine"
    make = _problem if batch.events_quarantined > QUARANTINE_SHARE * batch.events_read else _note
    fix = f"raw.quarantined_events has file, line, reason and text of batch {batch.batch_id}"
    yield make(f"{what}: {reasons}" if reasons else what, fix)


def _outbox(report: DoctorReport) -> Iterator[Problem]:
    held = sum(row.firings for row in report.outbox if row.status == "held")
    if held:
        fix = "triggers.dead_letters lists them; settle them with `tripline release --as delivered|send`"
        yield _problem(f"in doubt, held for a person: {count(held, 'firing')}", fix)
    waiting = [row for row in report.outbox if row.status not in ("waiting_for_address", "held")]
    firings = sum(row.firings for row in waiting)
    if not firings:
        return
    environment = report.environment
    is_for_webhook = any(row.destination == "webhook" for row in waiting)
    if is_for_webhook and environment.delivery == "live":
        missing = [
            name
            for name, is_set in (
                ("TRIPLINE_WEBHOOK_URL", environment.is_webhook_url_set),
                ("TRIPLINE_WEBHOOK_SECRET", environment.is_webhook_secret_set),
            )
            if not is_set
        ]
        if missing:
            yield _problem(
                f"{count(firings, 'firing')} cannot be delivered: {' and '.join(missing)} not set",
                "set them to the campaign platform's address and signing secret, or TRIPLINE_DELIVERY=dry_run",
            )
            return
    clock_at = report.last_build.clock_at if report.last_build else None
    oldest = min((row.oldest_decided_at for row in waiting if row.oldest_decided_at), default=None)
    make = _problem if clock_at and oldest and clock_at - oldest > OLD_OUTBOX else _note
    since = f", the oldest decided {when(oldest)}" if oldest else ""
    fix = "run `tripline push`; `tripline explain <user>` has the platform's answers"
    yield make(f"to be sent: {count(firings, 'firing')}{since}", fix)
