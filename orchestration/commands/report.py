"""The demo's ending: who was triggered, by what, on what evidence, and what was delivered."""

from __future__ import annotations

from itertools import groupby

from pydantic import BaseModel, ConfigDict
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestration.commands.explanation import EvidenceEvent
from orchestration.commands.tables import Tables, open_tables
from orchestration.commands.triggers import Trigger, triggers
from orchestration.commands.words import Number, Utc, count, listed, of_threshold, quantity, when
from orchestration.settings import Settings, get_settings

LATEST = 3


class Firing(BaseModel):
    """One firing with what it rests on; `measured` and `evidence_words` are for people."""

    model_config = ConfigDict(frozen=True)

    trigger_name: str
    user_id: str
    matched_at: Utc
    decided_at: Utc
    observed_value: Number
    threshold_value: Number
    measured: str
    evidence: list[EvidenceEvent]
    evidence_words: str
    campaign: str | None
    delivery_status: str | None
    http_status: int | None
    attempts: int | None


class Report(BaseModel):
    """`triggers`: counts over all batches. `deliveries`: trigger -> state of the delivery -> firings with a campaign.
    `firings`: the latest of each trigger. `received_count`: what the campaign platform says it took, if asked."""

    model_config = ConfigDict(frozen=True)

    clock_at: Utc | None
    triggers: list[Trigger]
    deliveries: dict[str, dict[str, int]]
    firings: list[Firing]
    received_count: int | None

    @property
    def delivered(self) -> int:
        return sum(states.get("delivered", 0) for states in self.deliveries.values())


def render_report(console: Console, settings: Settings, *, received_count: int | None = None) -> None:
    render(report(settings, received_count=received_count), console, settings)


def report(settings: Settings, *, received_count: int | None = None, latest: int = LATEST) -> Report:
    """What the warehouse of `settings` says, or the published database where a batch holds it (then no events)."""
    counted = triggers(settings, prefer="warehouse")
    with open_tables(settings, prefer="warehouse") as tables:
        deliveries: dict[str, dict[str, int]] = {}
        for row in tables.rows("report_deliveries"):
            deliveries.setdefault(row["trigger_name"], {})[row["status"]] = row["firings"]
        firings = _firings(tables, latest)
    places = {trigger.trigger_name: place for place, trigger in enumerate(counted.triggers)}
    return Report(
        clock_at=counted.clock_at,
        triggers=counted.triggers,
        deliveries=deliveries,
        firings=sorted(firings, key=lambda firing: places.get(firing.trigger_name, len(places))),
        received_count=received_count,
    )


def _firings(tables: Tables, latest: int) -> list[Firing]:
    rows = tables.rows("report_firings", latest=latest)
    if not rows:
        return []
    start, end = min(row["window_started_at"] for row in rows), max(row["matched_at"] for row in rows)
    keys = sorted({key for row in rows for key in row["event_keys"]})
    found = tables.rows("explain_evidence", event_keys=keys, from_time=start, to_time=end)
    events = {row["event_key"]: EvidenceEvent(**row) for row in found}
    units = {row["trigger_name"]: row["unit"] for row in tables.rows("triggers_units")}
    firings = []
    for row in rows:
        evidence = [events.get(key, EvidenceEvent(event_key=key, is_loaded=False)) for key in row["event_keys"]]
        unit = units.get(row["trigger_name"], "")
        absence = f"nothing for {quantity(row['threshold_value'], unit)}"
        measured = absence if row["is_absence"] else of_threshold(row["observed_value"], row["threshold_value"], unit)
        values = {name: row[name] for name in Firing.model_fields if name in row}
        firings.append(Firing(**values, measured=measured, evidence=evidence, evidence_words=evidence_words(evidence)))
    return firings


def evidence_words(events: list[EvidenceEvent]) -> str:
    """'3 product_viewed (sku-1, sku-2, sku-3) 2025-09-12 10:02:05 to 10:08:00, signed_in 10:09:00', times in UTC."""
    loaded = [event for event in events if event.is_loaded and event.occurred_at and event.event_name]
    if not loaded:
        return count(len(events), "event")
    parts, last_day = [], None
    for name, group in groupby(loaded, key=lambda event: event.event_name):
        same = list(group)
        first, last = same[0].occurred_at, same[-1].occurred_at
        assert first and last
        subjects = listed(dict.fromkeys(event.product_id for event in same if event.product_id), at_most=4)
        many = f"{len(same)} {name}" if len(same) > 1 else f"{name}"
        times = _time(first, last_day)
        if last != first:
            times += f" to {_time(last, f'{first:%Y-%m-%d}')}"
        last_day = f"{last:%Y-%m-%d}"
        parts.append(" ".join([many, *([f"({subjects})"] if subjects else []), times]))
    return listed(parts, at_most=4)


def _time(moment: Utc, last_day: str | None) -> str:
    day = f"{moment:%Y-%m-%d}"
    return f"{moment:%H:%M:%S}" if day == last_day else f"{day} {moment:%H:%M:%S}"


def render(report: Report, console: Console, settings: Settings) -> None:
    """Counts, the latest firings with their evidence, deliveries, and what to run next."""
    console.print(_counts(report))
    if report.firings:
        console.print(_latest(report))
    console.print(Text(_delivered(report), style="bold"))
    for line in _hints(report, settings):
        console.print(Text(f"  {line}", style="dim"), soft_wrap=True)


def _counts(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="What matched and what was done about it", title_justify="left")
    table.add_column("trigger", no_wrap=True)
    for name in ("matched", "fired", "delivered"):
        table.add_column(name, justify="right")
    table.add_column("not sent, and why", overflow="fold")
    for trigger in report.triggers:
        states = report.deliveries.get(trigger.trigger_name, {})
        other = {**trigger.suppressed, **{state: n for state, n in states.items() if state != "delivered"}}
        table.add_row(
            trigger.trigger_name,
            f"{trigger.matches:,}",
            f"{trigger.fired:,}",
            f"{states.get('delivered', 0):,}",
            ", ".join(f"{n:,} {reason}" for reason, n in other.items()),
        )
    return table


def _latest(report: Report) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="The latest firings, and their evidence", title_justify="left")
    table.add_column("who, when", overflow="fold")
    table.add_column("by what, on what evidence", overflow="fold", ratio=1)
    table.add_column("campaign, delivery", overflow="fold")
    for name, group in groupby(report.firings, key=lambda firing: firing.trigger_name):
        for firing in group:
            code = f" ({firing.http_status})" if firing.http_status else ""
            table.add_row(
                Text(f"{firing.user_id}\n{when(firing.matched_at)}"),
                Text(f"{name}: {firing.measured}\n{firing.evidence_words}"),
                Text(f"{firing.campaign or 'no campaign'}\n{firing.delivery_status or 'waiting'}{code}"),
            )
        table.add_section()
    return table


def _delivered(report: Report) -> str:
    fired = sum(trigger.fired for trigger in report.triggers)
    words = f"{count(fired, 'firing')}, {report.delivered:,} delivered by the log"
    if report.received_count is None:
        return words
    agree = "the same" if report.received_count == report.delivered else "NOT the same"
    return f"{words}; the campaign platform says it took {report.received_count:,}: {agree}"


def _hints(report: Report, settings: Settings) -> list[str]:
    prefix = "" if settings.home == get_settings().home else f"TRIPLINE_HOME={settings.home} "
    who = report.firings[0].user_id if report.firings else "<user>"
    return [
        f"{prefix}.venv/bin/tripline explain {who}    why, event by event, and how far off the other triggers were",
        f"{prefix}.venv/bin/tripline triggers    the rules and their numbers (seeds/trigger_thresholds.csv)",
        f"query it with DuckDB, also while batches run: {settings.published_path}",
    ]
