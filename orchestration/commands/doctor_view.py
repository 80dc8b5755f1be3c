"""The doctor's report for people."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from orchestration.commands.diagnosis import DoctorReport
from orchestration.commands.words import count, duration, size, when


def render(report: DoctorReport, console: Console) -> None:
    """Prints it; nothing in it is taken for markup, since file names and messages come from elsewhere."""
    _section(console, "versions", [(name, version) for name, version in report.versions.items()])
    _section(console, "paths", _path_lines(report))
    _section(console, "warehouse", _warehouse_lines(report))
    _section(console, "landing folder", _landing_lines(report))
    _section(console, "outbox", _outbox_lines(report))
    _section(console, "warm runs", _warm_lines(report))
    _section(console, "environment", _environment_lines(report))
    console.print()
    for problem in report.problems:
        is_note = problem.severity == "note"
        line = Text("note  " if is_note else "mend  ", style="yellow" if is_note else "bold red")
        line.append(problem.what, style="default not bold")
        console.print(line, soft_wrap=True)
        console.print(Text(f"      {problem.fix}", style="dim"), soft_wrap=True)
    if report.ok:
        console.print(Text("all is well", style="green"))


def _section(console: Console, title: str, lines: list[tuple[str, str]]) -> None:
    console.print(Text(title, style="bold"))
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        console.print(Text(f"  {name:<{width}}  {value}"), soft_wrap=True)


def _path_lines(report: DoctorReport) -> list[tuple[str, str]]:
    lines = [("home", f"{report.paths.home}  ({size(report.free_disk_bytes)} free)")]
    for name, path in report.paths.model_dump().items():
        if name in report.places:
            place = report.places[name]
            lines.append((name, f"{path}  ({size(place.bytes) if place.exists else 'not there yet'})"))
    return lines


def _warehouse_lines(report: DoctorReport) -> list[tuple[str, str]]:
    lock, batch, build = report.lock, report.last_batch, report.last_build
    states = {"open": "free", "missing": "not there yet", "locked": "held", "unreadable": "cannot be read"}
    holder = f" by process {lock.holder.pid} ({lock.holder.command})" if lock.holder else ""
    lines = [("lock", states[lock.state] + holder)]
    if report.read_from == "published":
        lines.append(("read from", "the published database"))
    if batch:
        kind = "replay" if batch.is_replay else "live"
        accounts = (
            f"{batch.events_read:,} read = {batch.events_loaded:,} loaded + {batch.events_duplicate:,} duplicate "
            f"+ {batch.events_quarantined:,} quarantined"
        )
        lines.append(("last batch", f"{batch.batch_id}, {kind}, clock {when(batch.clock_at)}: {accounts}"))
    if build:
        state = "  UNFINISHED" if build.is_unfinished else ""
        lines.append(("last whole build", f"of batch {build.built_batch_id}, {when(build.finished_at)}{state}"))
        lag = f", {duration(build.lag_seconds)} behind the clock" if build.lag_seconds is not None else ""
        lines.append(("watermark", f"{when(build.watermark_at)}{lag}" if build.watermark_at else "none yet"))
    for reason, events in report.quarantined.items():
        lines.append(("quarantined", f"{events:,} {reason}"))
    return lines


def _landing_lines(report: DoctorReport) -> list[tuple[str, str]]:
    landing = report.landing
    if landing.unreadable:
        return [("unreadable", landing.unreadable)]
    waiting = f"{count(landing.waiting, 'file')} ({size(landing.waiting_bytes)})" if landing.waiting else "nothing"
    lines = [("waiting", waiting)]
    if landing.being_written:
        lines.append(("being written", count(landing.being_written, "file")))
    if landing.set_aside:
        lines.append(("set aside", count(len(landing.set_aside), "file")))
    return lines


def _outbox_lines(report: DoctorReport) -> list[tuple[str, str]]:
    if not report.outbox:
        return [("waiting", "nothing")]
    lines = []
    for row in report.outbox:
        since = f"the oldest decided {when(row.oldest_decided_at)}"
        lines.append((row.destination, f"{count(row.firings, 'firing')} {row.status}, {since}"))
    return lines


def _warm_lines(report: DoctorReport) -> list[tuple[str, str]]:
    warm = report.warm_runs
    lines = []
    for template in warm.templates:
        facts = [
            f"process {template.pid}, {duration(template.age_seconds)} old, {size(template.memory_bytes)}",
            f"{count(template.runs, 'run')} and {count(template.dbt_commands, 'dbt command')} forked",
            f"{len(template.running)} under way",
        ]
        lines.append((template.location, "; ".join(facts)))
        if template.last_reload_at:
            lines.append(("last reload", f"{when(template.last_reload_at)}: {template.last_reload_why}"))
        if template.last_refusal_at:
            lines.append(("last refusal", f"{when(template.last_refusal_at)}: {template.last_refusal_why}"))
    if not lines:
        lines.append(("templates", "none: one is there while Dagster runs" if warm.is_on else "off"))
    if fallback := warm.last_fallback:
        lines.append(("last fallback", f"{when(fallback.at)}, run {fallback.run_id[:8]}: {fallback.why}"))
    return lines


def _environment_lines(report: DoctorReport) -> list[tuple[str, str]]:
    environment = report.environment
    return [
        ("variables", ", ".join(environment.variables) or "none set, defaults apply"),
        ("webhook url", "set" if environment.is_webhook_url_set else "not set"),
        ("webhook secret", "set" if environment.is_webhook_secret_set else "not set"),
        ("delivery", environment.delivery),
    ]
