"""Projects whose seeds are other than the shipped ones, and what they mean to the evaluator.

The meaning is told beside the change, and the rest is read from the seed files, so that nothing is told twice.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.replay.deciding import Policy, Terms
from tests.replay.harness import Project, copy_project
from tests.replay.reading import DAY, HOUR, SECOND
from tests.replay.rules import Rules

THRESHOLDS = "trigger_thresholds.csv"


@dataclass(frozen=True)
class Seeded:
    """A project and what its seeds say, in microseconds."""

    project: Project
    rules: Rules
    terms: Terms
    allowed_lateness: int
    consent_category: str
    profile_kinds: Mapping[str, str]
    """Trait -> email, phone, or the name of an external id."""


@dataclass(frozen=True)
class Change:
    """Cells of seeds and the numbers of `Rules` that they are. Thresholds: (trigger, parameter) -> value."""

    thresholds: Mapping[tuple[str, str], str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    passive: tuple[str, ...] = ()
    traits: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, str] = field(default_factory=dict)
    """Columns of triggers.csv, for all triggers."""
    rules: Mapping[str, Any] = field(default_factory=dict)


CHANGES = {
    "shipped": Change(),
    "New York": Change(
        settings={"reporting_timezone": "America/New_York"}, rules={"reporting_timezone": "America/New_York"}
    ),
    "Berlin": Change(settings={"reporting_timezone": "Europe/Berlin"}, rules={"reporting_timezone": "Europe/Berlin"}),
    "late watermark": Change(settings={"allowed_lateness_seconds": "864000"}),
    "short waits": Change(
        {("lapsed_user", "wait_seconds"): "600", ("cart_abandoned", "wait_seconds"): "60"},
        rules={"lapsed_wait": 600 * SECOND, "cart_wait": 60 * SECOND},
    ),
    "long waits": Change(
        {("cart_abandoned", "wait_seconds"): "1209600", ("checkout_abandoned", "sequence_seconds"): "200000"},
        rules={"cart_wait": 14 * DAY, "checkout_sequence": 200_000 * SECOND},
    ),
    "narrow windows": Change(
        {
            ("related_product_views", "window_seconds"): "2",
            ("related_product_views", "min_products"): "2",
            ("high_value_cart", "window_seconds"): "5",
            ("high_value_cart", "min_amount"): "99.9999",
            ("time_on_page", "dwell_seconds"): "1",
        },
        rules={
            "related_window": 2 * SECOND,
            "related_products": 2,
            "cart_window": 5 * SECOND,
            "cart_value": Decimal("99.9999"),
            "dwell": SECOND,
        },
    ),
    "wide windows": Change(
        {
            ("related_product_views", "window_seconds"): "200000",
            ("high_value_cart", "window_seconds"): "172800",
            ("time_on_page", "dwell_seconds"): "20000",
            ("engaged_with_product", "visit_seconds"): "20000",
            ("lapsed_user", "wait_seconds"): "10800",
        },
        rules={
            "related_window": 200_000 * SECOND,
            "cart_window": 48 * HOUR,
            "dwell": 20_000 * SECOND,
            "engaged_after": 20_000 * SECOND,
            "lapsed_wait": 3 * HOUR,
        },
    ),
    "more traits": Change(traits={"plan": "plan_id", "a/b~c": "odd_id"}),
    # What came late still fires, so that firings meet each other; those of weeks ago count for nobody any more.
    "patient": Change(
        settings={"frequency_cap_period_seconds": "518400", "frequency_cap_firings": "2"},
        terms={"cooldown_seconds": "43200", "max_age_seconds": "864000"},
    ),
    "passive views": Change(passive=("product_viewed", "signed_in")),
    "passive pages": Change(
        passive=("page_viewed", "product_added", "checkout_started"),
    ),
}


def make_seeded(folder: Path, name: str) -> Seeded:
    """A copy of the project under `folder` with the seeds of CHANGES[name]; product X is x1 or x2 in all of them."""
    change = CHANGES[name]
    thresholds = {("engaged_with_product", "product_ids"): "x1|x2", **change.thresholds}
    project = copy_project(
        folder / name.replace(" ", "_"),
        {
            THRESHOLDS: {(trigger, "default", parameter): value for (trigger, parameter), value in thresholds.items()},
            "settings.csv": {(setting,): value for setting, value in change.settings.items()},
            "passive_events.csv": {(event,): "" for event in change.passive},
            "profile_traits.csv": dict.fromkeys(change.traits.items(), ""),
        },
    )
    _set_columns(project.path / "seeds/triggers.csv", change.terms)
    passive = frozenset(row["event_name"] for row in _rows(project, "passive_events.csv"))
    rules = replace(Rules(engaged_products=frozenset({"x1", "x2"})), **change.rules)
    rules = replace(rules, passive_events=passive)
    settings = {row["setting"]: row["value"] for row in _rows(project, "settings.csv")}
    terms = Terms(
        policies={row["trigger_name"]: _policy(row) for row in _rows(project, "triggers.csv")},
        cap=int(settings["frequency_cap_firings"]),
        cap_period=int(settings["frequency_cap_period_seconds"]) * SECOND,
    )
    lateness = int(settings["allowed_lateness_seconds"]) * SECOND
    kinds = {row["trait_name"]: row["kind"] for row in _rows(project, "profile_traits.csv")}
    return Seeded(project, rules, terms, lateness, settings["consent_category"], kinds)


def _set_columns(path: Path, values: Mapping[str, str]) -> None:
    with path.open(newline="", encoding="utf-8") as source:
        rows = [{**row, **values} for row in csv.DictReader(source)]
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.DictWriter(target, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _policy(row: Mapping[str, str]) -> Policy:
    return Policy(
        priority=int(row["priority"]),
        cooldown=int(row["cooldown_seconds"]) * SECOND,
        max_age=int(row["max_age_seconds"]) * SECOND,
    )


def _rows(project: Project, file: str) -> list[dict[str, str]]:
    with (project.path / "seeds" / file).open(newline="", encoding="utf-8") as source:
        return list(csv.DictReader(source))
