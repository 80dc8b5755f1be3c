"""`tripline triggers`: what is defined, with its thresholds, and what came of it."""

from __future__ import annotations

import re
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestration.commands.tables import SEEDS_DIR, Tables, open_tables, read_seed
from orchestration.commands.words import Utc, duration, number, quantity, when
from orchestration.settings import PROJECT_DIR, Settings, get_settings

MODELS_DIR = PROJECT_DIR / "dbt_project" / "models" / "triggers"


class Threshold(BaseModel):
    """One row of seeds/trigger_thresholds.csv."""

    model_config = ConfigDict(frozen=True)

    variant: str
    parameter: str
    value: str
    unit: str
    description: str
    words: str


class Trigger(BaseModel):
    """One trigger of seeds/triggers.csv. `rule`: the model's own description with the numbers put in. `matches` are
    those whose time has come, `waiting` the timers that run. `suppressed`: reason (or `held`) -> decisions."""

    model_config = ConfigDict(frozen=True)

    trigger_name: str
    rule: str
    thresholds: list[Threshold]
    is_enabled: bool
    priority: int
    cooldown_seconds: int
    max_age_seconds: int
    campaign: str | None
    destination: str | None
    is_campaign_enabled: bool
    matches: int
    waiting: int
    fired: int
    suppressed: dict[str, int]
    last_fired_at: Utc | None


class TriggerList(BaseModel):
    """`clock_at`: of the build that the counts are from, None before the first. `notes`: what to know about them."""

    model_config = ConfigDict(frozen=True)

    clock_at: Utc | None
    triggers: list[Trigger]
    notes: list[str]


def run(console: Console, *, as_json: bool) -> None:
    listed = triggers(get_settings())
    if as_json:
        print(listed.model_dump_json())
    else:
        render(listed, console)


def triggers(settings: Settings, *, prefer: Literal["warehouse", "published"] = "published") -> TriggerList:
    """All triggers in the order in which they are decided: the seeds as they stand, the counts as last built.

    Reads the published database, or the warehouse where nothing is published and no batch holds it; with
    `prefer="warehouse"` the other way round.
    """
    with open_tables(settings, prefer=prefer) as tables:
        tables.connection.execute("create schema seeded")
        for seed in ("triggers", "trigger_thresholds", "campaigns"):
            read_seed(tables.connection, seed, f"seeded.{seed}")
        thresholds = _thresholds(tables)
        suppressed: dict[str, dict[str, int]] = {}
        for row in tables.rows("triggers_outcomes"):
            suppressed.setdefault(row["trigger_name"], {})[row["outcome"]] = row["decisions"]
        rows = [
            Trigger(
                **row,
                rule=rule(row["trigger_name"], thresholds.get(row["trigger_name"], [])),
                thresholds=thresholds.get(row["trigger_name"], []),
                suppressed=suppressed.get(row["trigger_name"], {}),
            )
            for row in tables.rows("triggers_list")
        ]
        state = tables.one("explain_state")
        return TriggerList(clock_at=state["clock_at"], triggers=rows, notes=_notes(tables, state))


def _thresholds(tables: Tables) -> dict[str, list[Threshold]]:
    found: dict[str, list[Threshold]] = {}
    for row in tables.rows("triggers_numbers"):
        threshold = Threshold(**{name: row[name] for name in row if name != "trigger_name"}, words=_words(row))
        found.setdefault(row["trigger_name"], []).append(threshold)
    return found


def _words(row: dict[str, Any]) -> str:
    value, unit = row["value"], row["unit"]
    if re.fullmatch(r"-?\d+(\.\d+)?", value):
        return quantity(float(value) if "." in value else int(value), unit)
    return ", ".join(part.strip() for part in value.split("|") if part.strip()) or "none"


def rule(trigger_name: str, thresholds: list[Threshold]) -> str:
    """The first sentence of trg_<name>.yml, its `parameters` replaced by the default variant's values."""
    path = MODELS_DIR / f"trg_{trigger_name}.yml"
    if not path.exists():
        return f"no model: {path.relative_to(PROJECT_DIR)} is missing"
    (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    sentence = " ".join(model["description"].split()).split(". ")[0].rstrip(".")
    values = {threshold.parameter: threshold for threshold in thresholds if threshold.variant == "default"}
    return re.sub(r"`(\w+)`", lambda found: _spelled(values.get(found[1])) or found[0], sentence)


def _spelled(threshold: Threshold | None) -> str:
    """Without the unit where the sentence has the noun: 'the 4-th visit'."""
    if threshold is None:
        return ""
    if threshold.unit in ("seconds", "currency") or not threshold.value.replace(".", "", 1).isdigit():
        return threshold.words
    return number(float(threshold.value))


def _notes(tables: Tables, state: dict[str, Any]) -> list[str]:
    if state["clock_at"] is None:
        if tables.warehouse.state == "locked":
            return ["the warehouse is held and nothing is published: no counts"]
        return ["nothing is built yet: run `tripline batch`"]
    changed = tables.rows("triggers_changed") if tables.has("config.triggers") else []
    return [
        f"{row['trigger_name']}: {row['what']} is {row['value'] or 'empty'} in {SEEDS_DIR.name}/ and was "
        f"{row['built_value'] or 'empty'} in the last build; the next batch takes it"
        for row in changed
    ]


def render(listed: TriggerList, console: Console) -> None:
    """A block a trigger: its rule, what is done about it, and what came of it."""
    for trigger in listed.triggers:
        head = Text(trigger.trigger_name, style="bold")
        if not trigger.is_enabled:
            head.append("  disabled", style="yellow")
        console.print(head)
        facts = Table.grid(padding=(0, 2))
        facts.add_column(style="dim")
        facts.add_column(overflow="fold")
        for name, words in _facts(trigger):
            facts.add_row(f"  {name}", Text(words))
        console.print(facts)
    for note in listed.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    if listed.clock_at:
        console.print(Text(f"counts as of {when(listed.clock_at)}", style="dim"))


def _facts(trigger: Trigger) -> list[tuple[str, str]]:
    where = f"{trigger.campaign} by {trigger.destination or 'no destination'}" if trigger.campaign else "none"
    if trigger.campaign and not trigger.is_campaign_enabled:
        where += " (not enabled)"
    kept = [f"{count:,} {reason}" for reason, count in trigger.suppressed.items()]
    came = [f"{trigger.matches:,} matched", f"{trigger.fired:,} fired"]
    came += [f"{trigger.waiting:,} waiting"] if trigger.waiting else []
    return [
        ("when", trigger.rule),
        ("campaign", where),
        (
            "limits",
            f"priority {trigger.priority}, cooldown {duration(trigger.cooldown_seconds)}, "
            f"not older than {duration(trigger.max_age_seconds)}",
        ),
        ("so far", ", ".join(came) + (f"; suppressed: {', '.join(kept)}" if kept else "")),
        ("last fired", when(trigger.last_fired_at)),
    ]
