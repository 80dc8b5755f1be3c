"""Decisions and deliveries in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from orchestration.commands.explanation import DeliveryStep
from orchestration.commands.words import count, duration, listed, when

Row = dict[str, Any]


@dataclass
class Causes:
    """What lies behind the suppressions of the stories, by decision_id where it differs between them."""

    cooldowns: dict[str, Row] = field(default_factory=dict)
    caps: dict[str, list[Row]] = field(default_factory=dict)
    consent: Row = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    campaigns: dict[str, Row] = field(default_factory=dict)
    watermark_at: datetime | None = None


def why(story: Row, causes: Causes, steps: list[DeliveryStep]) -> str:
    """The decision and its reason, one sentence."""
    if story["decision"] is None:
        return _undecided(story, causes)
    words = _fired(story, causes, steps) if story["decision"] == "fired" else _reason(story, causes)
    if not story["is_present"]:
        words += "; no longer true of the data as now known (late events or an identity link changed it)"
    return words


def _undecided(story: Row, causes: Causes) -> str:
    if story["is_absence"] and (causes.watermark_at is None or story["matched_at"] > causes.watermark_at):
        return f"waits until {when(story['matched_at'])}; the data is complete through {when(causes.watermark_at)}"
    return "not decided"


def _fired(story: Row, causes: Causes, steps: list[DeliveryStep]) -> str:
    campaign = story["campaign"]
    if not campaign:
        return "fired; seeds/triggers.csv names no campaign for it, so nobody is told"
    row = causes.campaigns.get(campaign)
    if not steps and row and row["is_enabled"] != "true":
        return f"fired; its campaign {campaign} is not enabled in seeds/campaigns.csv"
    if not steps:
        return f"fired for campaign {campaign}; waits in the outbox for `tripline push`"
    return f"fired for campaign {campaign}; {_delivery(steps)}"


def _delivery(steps: list[DeliveryStep]) -> str:
    last = steps[-1]
    attempts = count(max(step.attempt for step in steps), "attempt")
    after = f" after {when(last.retry_at)}" if last.retry_at else ""
    words = {
        "delivered": f"delivered {when(last.recorded_at)} to {last.destination}, {attempts}",
        "claimed": f"being sent since {when(last.recorded_at)}, or the pushing process died; the next push settles it",
        "failed": f"failed, {attempts}; will be sent again{after}",
        "rejected": f"rejected for good by {last.destination}",
        "cancelled": "not sent: the match was gone, or the user might not be told any more, when it was to be sent",
        "unknown": f"sent, but {last.destination} never answered; the next push settles it",
        "held": f"in doubt at {last.destination}: a person settles it with `tripline release`",
        "requeued": "to be sent again by a person's word; goes out with the next push",
        "waiting_for_address": f"waits until {last.destination} can be told where to reach the user",
        "dry_run": "a dry run, nothing was sent",
    }
    return words.get(last.status, last.status)


def _reason(story: Row, causes: Causes) -> str:
    reason = story["reason"] or "no reason given"
    if reason in _FIXED:
        return f"{reason}: {_FIXED[reason]}"
    return f"{reason}: {_EXPLAINED[reason](story, causes)}" if reason in _EXPLAINED else reason


def _consent(story: Row, causes: Causes) -> str:
    category = causes.settings.get("consent_category", "marketing")
    if causes.consent.get("list_reason") is not None:
        given = causes.consent["list_reason"]
        return "listed in seeds/suppressed_users.csv" + (f" ({given})" if given else "")
    if causes.consent.get("said_at") and not causes.consent["is_granted"]:
        return f"refused consent for {category} on {when(causes.consent['said_at'])}"
    return f"consent for {category} was refused then"


def _stale(story: Row, causes: Causes) -> str:
    late = duration((story["decided_at"] - story["matched_at"]).total_seconds())
    return f"decided {late} after the match, more than {duration(story['max_age_seconds'])} (max_age)"


def _cooldown(story: Row, causes: Causes) -> str:
    away = duration(story["cooldown_seconds"])
    firing = causes.cooldowns.get(story["decision_id"])
    if firing is None:
        return f"another firing of the trigger is less than {away} away"
    words = f"fired {when(firing['matched_at'])}, less than {away} away"
    gap = abs((story["matched_at"] - firing["matched_at"]).total_seconds())
    if gap >= story["cooldown_seconds"]:
        words = f"fired for {when(firing['matched_at'])}, decided {when(firing['decided_at'])}, less than {away} away"
    return words + (f", as {firing['user_id']}" if firing["user_id"] != story["user_id"] else "")


def _cap(story: Row, causes: Causes) -> str:
    period = duration(int(causes.settings.get("frequency_cap_period_seconds") or 0))
    firings = causes.caps.get(story["decision_id"], [])
    named = listed(f"{row['trigger_name']} {when(row['matched_at'])}" for row in firings)
    return f"{count(len(firings), 'firing')} within {period} already" + (f" ({named})" if named else "")


_FIXED = {
    "anonymous": "known only by a device, and campaigns need a user",
    "erased": "the user was erased",
    "holdout": "in the control group, which is not sent anything",
    "anomaly": "far more firings than usual: held until a person releases or discards them",
}

_EXPLAINED: dict[str, Callable[[Row, Causes], str]] = {
    "no_consent": _consent,
    "stale": _stale,
    "cooldown": _cooldown,
    "frequency_cap": _cap,
}
