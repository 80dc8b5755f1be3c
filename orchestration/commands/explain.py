"""`tripline explain`: what matched for a user, what was decided and why, and how far off the rest was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich.console import Console

from orchestration.commands.explain_view import render
from orchestration.commands.explanation import (
    Activity,
    DeliveryStep,
    EvidenceEvent,
    Explanation,
    Identity,
    MatchStory,
    NearMiss,
    TriggerStory,
)
from orchestration.commands.identities import find_identity
from orchestration.commands.near_miss import near_miss
from orchestration.commands.reasons import Causes, why
from orchestration.commands.tables import Tables, open_tables
from orchestration.commands.words import listed, of_threshold, quantity
from orchestration.errors import ConfigError, TriplineError
from orchestration.settings import Settings, get_settings

LATEST = 10  # matches shown a trigger: more than a screen of them explains nothing

Row = dict[str, Any]


def run(console: Console, user: str, *, trigger: str | None, as_json: bool) -> None:
    explanation = explain(get_settings(), user, trigger)
    if as_json:
        print(explanation.model_dump_json())
    else:
        render(explanation, console)


def explain(settings: Settings, user_id: str, trigger: str | None = None, *, latest: int = LATEST) -> Explanation:
    """What is known of `user_id` (a user, or a device with or without `anon:`), for all triggers or one.

    Reads the warehouse where no batch holds it, else the published database without the events. Raises
    TriplineError for an unknown user, with near spellings, and ConfigError for an unknown trigger.
    """
    with open_tables(settings, prefer="warehouse") as tables:
        if not tables.homes:
            raise TriplineError(*_nothing_to_read(tables))
        return explain_from(tables, user_id, trigger, latest=latest)


def explain_from(tables: Tables, user_id: str, trigger: str | None = None, *, latest: int = LATEST) -> Explanation:
    """As `explain`, from tables that are open."""
    return _Reader(tables, latest).explain(user_id.strip(), trigger)


def _nothing_to_read(tables: Tables) -> tuple[str, str]:
    path, state = tables.warehouse.path, tables.warehouse.state
    if state == "missing":
        return f"there is no warehouse yet: {path}", "put event files into the landing folder and run `tripline batch`"
    if state == "locked":
        return f"{path} is held by another process, and nothing is published yet", "try again when the batch is done"
    return f"{path} cannot be read: {tables.warehouse.problem}", "see `tripline doctor`"


@dataclass
class _Reader:
    tables: Tables
    latest: int

    def explain(self, asked: str, trigger: str | None) -> Explanation:
        defined = {row["trigger_name"]: row["is_enabled"] for row in self.tables.rows("triggers_enabled")}
        if trigger is not None and trigger not in defined:
            raise ConfigError(f"there is no trigger '{trigger}'", f"the triggers are: {listed(defined, at_most=100)}")
        state = self.tables.one("explain_state")
        identity = find_identity(self.tables, asked)
        if identity is None:
            raise self._unknown(asked)
        has_events = self._read_events(identity, state)
        causes = self._read_stories(identity, state)
        stories = self._stories(causes)
        return Explanation(
            identity=identity,
            clock_at=state["clock_at"],
            watermark_at=state["watermark_at"],
            batch_id=state["built_batch_id"],
            read_from=self.tables.homes.get("triggers.trigger_decisions", "nothing built yet"),
            activity=Activity(**self.tables.one("explain_activity")) if has_events else None,
            triggers=[
                self._trigger(name, is_enabled, stories.get(name, []), has_events)
                for name, is_enabled in defined.items()
                if trigger in (None, name)
            ],
            notes=self._notes(state),
        )

    def _unknown(self, asked: str) -> TriplineError:
        similar = [row["id"] for row in self.tables.rows("explain_similar", asked=asked)]
        hint = f"did you mean {listed(similar)}?" if similar else "no id looks like it"
        if not self.tables.has("raw.events"):
            hint += " (the events could not be read, so users who did nothing that counts are missing)"
        return TriplineError(f"no user and no device is called '{asked}'", hint)

    def _read_events(self, identity: Identity, state: Row) -> bool:
        built, zone = state["built_batch_id"], self._settings().get("reporting_timezone")
        self.tables.rows(
            "explain_events",
            user_id=identity.user_id,
            known_user_id=None if identity.is_anonymous else identity.user_id,
            devices=[device.anonymous_id for device in identity.devices],
            upto_batch_id=built if built is not None else state["loaded_batch_id"] or 0,
            zone=zone or "UTC",
        )
        return self.tables.has("raw.events")

    def _settings(self) -> dict[str, str]:
        return {row["setting"]: row["value"] for row in self.tables.rows("explain_settings")}

    def _read_stories(self, identity: Identity, state: Row) -> Causes:
        devices = [device.anonymous_id for device in identity.devices]
        settings = self._settings()
        names = [identity.user_id, *(f"anon:{device}" for device in devices)]
        self.tables.rows("explain_stories", user_ids=names, latest=self.latest)
        causes = Causes(
            cooldowns={row["decision_id"]: row for row in self.tables.rows("explain_cooldowns", devices=devices)},
            consent=self.tables.one("explain_consent", user_id=identity.user_id),
            settings=settings,
            campaigns={row["campaign"]: row for row in self.tables.rows("explain_campaigns")},
            watermark_at=state["watermark_at"],
        )
        period = int(settings.get("frequency_cap_period_seconds") or 0)
        for row in self.tables.rows("explain_caps", devices=devices, period_seconds=period):
            causes.caps.setdefault(row["decision_id"], []).append(row)
        return causes

    def _stories(self, causes: Causes) -> dict[str, list[tuple[int, MatchStory]]]:
        rows = self.tables.rows("explain_read_stories")
        steps: dict[str, list[DeliveryStep]] = {}
        for row in self.tables.rows("explain_deliveries"):
            steps.setdefault(row["decision_id"], []).append(
                DeliveryStep(**{name: row[name] for name in DeliveryStep.model_fields})
            )
        events = self._evidence(rows)
        units = self._units()
        stories: dict[str, list[tuple[int, MatchStory]]] = {}
        for row in rows:
            mine = steps.get(row["decision_id"], [])
            story = MatchStory(
                **{name: row[name] for name in MatchStory.model_fields if name in row},
                measured=_measured(row, units.get(row["trigger_name"], "")),
                why=why(row, causes, mine),
                delivery_status=mine[-1].status if mine else None,
                deliveries=mine,
                evidence=[events.get(key, EvidenceEvent(event_key=key, is_loaded=False)) for key in row["event_keys"]],
            )
            stories.setdefault(row["trigger_name"], []).append((row["keys_of_trigger"], story))
        return stories

    def _evidence(self, stories: list[Row]) -> dict[str, EvidenceEvent]:
        """By key. Only what the user does not own any more is looked for in all events, which takes longer."""
        keys = {key for row in stories for key in row["event_keys"]}
        rows = self.tables.rows("explain_own_evidence", event_keys=sorted(keys))
        missing = sorted(keys - {row["event_key"] for row in rows})
        if missing:
            start, end = min(row["window_started_at"] for row in stories), max(row["matched_at"] for row in stories)
            rows += self.tables.rows("explain_evidence", event_keys=missing, from_time=start, to_time=end)
        return {row["event_key"]: EvidenceEvent(**row) for row in rows}

    def _units(self) -> dict[str, str]:
        return {row["trigger_name"]: row["unit"] for row in self.tables.rows("triggers_units")}

    def _trigger(
        self, name: str, is_enabled: bool, told: list[tuple[int, MatchStory]], has_events: bool
    ) -> TriggerStory:
        stories = [story for _, story in told]
        status = _status(stories)
        miss = None
        if not is_enabled:
            status, miss = "disabled" if not stories else status, NearMiss(words="not enabled in seeds/triggers.csv")
        elif not stories and has_events:
            miss = near_miss(self.tables, name, self._thresholds(name))
        elif not stories:
            status, miss = "unknown", NearMiss(words="no match; how far off is in the events, which cannot be read now")
        return TriggerStory(
            trigger_name=name, status=status, match_count=told[0][0] if told else 0, matches=stories, near_miss=miss
        )

    def _thresholds(self, name: str) -> dict[str, str]:
        rows = self.tables.rows("triggers_thresholds")
        return {row["parameter"]: row["value"] or "" for row in rows if row["trigger_name"] == name}

    def _notes(self, state: Row) -> list[str]:
        notes = []
        warehouse = self.tables.warehouse
        if warehouse.state == "locked":
            holder = f" by process {warehouse.holder.pid} ({warehouse.holder.command})" if warehouse.holder else ""
            notes.append(
                f"the warehouse is held{holder}: this is the published state, without the events. "
                "Try again for the rest"
            )
        elif warehouse.state == "unreadable":
            notes.append(f"the warehouse cannot be read: {warehouse.problem}")
        elif not warehouse.is_tried:
            notes.append("this is the published database alone, without the events")
        elif warehouse.state == "missing":
            notes.append("there is no warehouse here, only the published database: events cannot be shown")
        built, loaded = state["built_batch_id"], state["loaded_batch_id"]
        if built is None:
            notes.append("nothing is built yet: run `tripline batch`")
        elif loaded is not None and loaded > built:
            notes.append(f"batches {built + 1} to {loaded} are loaded but not built: the next batch catches up")
        return notes


def _measured(row: Row, unit: str) -> str:
    if row["is_absence"]:
        return f"nothing for {quantity(row['threshold_value'], unit)}"
    return of_threshold(row["observed_value"], row["threshold_value"], unit)


def _status(stories: list[MatchStory]) -> str:
    """The most telling state: what fired counts more than what was suppressed, however old."""
    decisions = {story.decision for story in stories}
    for decision in ("fired", "held", "suppressed"):
        if decision in decisions:
            return decision
    if not stories:
        return "not_matched"
    return "waiting" if all(story.is_absence for story in stories) else "matched"
