"""What is told of triggers and users, as data: the state of the last published build.

Times are UTC; observed and threshold values are the decimals that `tripline explain --json` has, the numbers of the
seeds are text as they stand there, as in `tripline triggers --json`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from orchestration.commands.explain import explain_from
from orchestration.commands.explanation import Explanation, Identity
from orchestration.commands.identities import find_identity
from orchestration.commands.tables import Tables
from orchestration.commands.words import Number, Utc


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class _OfBuild(_Frozen):
    """The build that it is of."""

    clock_at: Utc | None
    watermark_at: Utc | None
    batch_id: int | None


class Threshold(_Frozen):
    variant: str
    parameter: str
    value: str
    unit: str


class Trigger(_Frozen):
    """`kind`: presence or absence, None where nobody ever matched."""

    trigger_name: str
    is_enabled: bool
    kind: str | None
    priority: int
    cooldown_seconds: int
    max_age_seconds: int
    campaign: str | None
    thresholds: list[Threshold]
    flagged_users: int
    last_matched_at: Utc | None
    last_fired_at: Utc | None


class TriggerStates(_OfBuild):
    triggers: list[Trigger]


class Decision(_Frozen):
    """The latest of the trigger for the user; `matched_at` says of which match, which may be an earlier one."""

    decision: str
    reason: str | None
    decided_at: Utc
    matched_at: Utc
    campaign: str | None


class Timer(_Frozen):
    """A match by absence at `matched_at`, unless what it waits for happens by then."""

    matched_at: Utc
    window_started_at: Utc
    threshold_value: Number
    event_keys: list[str]


class UserTrigger(_Frozen):
    """`flagged_since` and the evidence are of the user's last match, whose flag may have run out since."""

    trigger_name: str
    is_enabled: bool
    is_flagged: bool
    flagged_since: Utc | None
    observed_value: Number | None
    threshold_value: Number | None
    window_started_at: Utc | None
    event_keys: list[str]
    decision: Decision | None
    timer: Timer | None


class UserStates(_OfBuild):
    identity: Identity
    triggers: list[UserTrigger]


def trigger_states(tables: Tables) -> TriggerStates:
    thresholds: dict[str, list[Threshold]] = {}
    for row in tables.rows("reading_thresholds"):
        thresholds.setdefault(row.pop("trigger_name"), []).append(Threshold(**row))
    kinds = {True: "absence", False: "presence", None: None}
    triggers = [
        Trigger(**row, kind=kinds[row["is_absence"]], thresholds=thresholds.get(row["trigger_name"], []))
        for row in tables.rows("reading_triggers")
    ]
    return TriggerStates(**_build(tables), triggers=triggers)


def user_states(tables: Tables, asked: str) -> UserStates | None:
    """None for what nobody knows."""
    identity = find_identity(tables, asked.strip())
    if identity is None:
        return None
    rows = tables.rows("reading_user", user_id=identity.user_id)
    return UserStates(**_build(tables), identity=identity, triggers=[_user_trigger(row) for row in rows])


def user_explanation(tables: Tables, asked: str) -> Explanation | None:
    """None for what nobody knows. Asked first, because `explain` would look for ids that look alike."""
    return explain_from(tables, asked) if find_identity(tables, asked.strip()) else None


def _user_trigger(row: dict[str, Any]) -> UserTrigger:
    decision = {name: row[name] for name in ("decision", "reason", "decided_at", "campaign")}
    timer = {name: row[f"timer_{name}"] for name in Timer.model_fields}
    told = {name: row[name] for name in UserTrigger.model_fields if name not in ("decision", "timer")}
    return UserTrigger(
        **told,
        decision=Decision(**decision, matched_at=row["decided_matched_at"]) if row["decision"] else None,
        timer=Timer(**timer) if row["timer_matched_at"] else None,
    )


def _build(tables: Tables) -> dict[str, Any]:
    state = tables.one("explain_state")
    return {"clock_at": state["clock_at"], "watermark_at": state["watermark_at"], "batch_id": state["built_batch_id"]}
