"""Everything people look up is described, and the tables they query keep a contract."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest

from orchestration.check.contract import ROW_CONTRACT
from orchestration.settings import PROJECT_DIR

pytestmark = pytest.mark.xdist_group("lint")

PEOPLE_QUERY = {
    "user_behavior",
    "user_profiles",
    "user_trigger_flags",
    "trigger_matches",
    "trigger_decisions",
    "trigger_firings",
    "campaign_backlog",
    "campaign_outbox",
    "campaign_history",
    "dead_letters",
    "firing_products",
    "int_visits",
    "trigger_health",
    "trigger_quality",
    "delivery_latency",
}


def _nodes(manifest: Any, kind: str) -> list[Any]:
    return [node for node in manifest.nodes.values() if node.resource_type == kind]


@pytest.mark.parametrize("kind", ["model", "seed"])
def test_every_model_seed_and_column_is_described(manifest: Any, kind: str) -> None:
    missing = [node.name for node in _nodes(manifest, kind) if not node.description]
    missing += [
        f"{node.name}.{column.name}"
        for node in _nodes(manifest, kind)
        for column in node.columns.values()
        if not column.description
    ]
    assert missing == []
    assert [node.name for node in _nodes(manifest, kind) if not node.columns] == []


def test_every_raw_table_is_described(manifest: Any) -> None:
    assert [source.name for source in manifest.sources.values() if not source.description] == []


def test_the_tables_people_query_keep_a_contract(manifest: Any) -> None:
    enforced = {node.name for node in _nodes(manifest, "model") if node.config.contract.enforced}
    assert PEOPLE_QUERY - enforced == set()


def test_every_trigger_keeps_the_row_contract(manifest: Any) -> None:
    triggers = [node for node in _nodes(manifest, "model") if node.name.startswith("trg_")]
    types = {tuple((column.name, column.data_type) for column in node.columns.values()) for node in triggers}
    assert all(node.config.contract.enforced for node in triggers)
    assert len(types) == 1
    assert [name for name, _ in types.pop()] == list(ROW_CONTRACT)


def test_boolean_columns_are_named_as_questions(manifest: Any) -> None:
    wrong = [
        f"{node.name}.{column.name}"
        for node in _nodes(manifest, "model")
        for column in node.columns.values()
        if column.data_type == "boolean" and not column.name.startswith(("is_", "has_"))
    ]
    assert wrong == []


def test_times_are_named_at_and_are_timestamps(manifest: Any) -> None:
    columns = [column for node in _nodes(manifest, "model") for column in node.columns.values() if column.data_type]
    assert [column.name for column in columns if column.name.endswith("_at") and column.data_type != "timestamp"] == []


def test_every_macro_is_described_with_its_arguments(manifest: Any) -> None:
    missing = []
    for macro in manifest.macros.values():
        if macro.package_name != "tripline" or macro.name.startswith("default__"):
            continue
        is_materialization = macro.name.startswith("materialization_")  # these take no arguments
        head = re.search(
            r"materialization()" if is_materialization else r"macro\s+\w+\((.*?)\)\s*-?%}", macro.macro_sql, re.DOTALL
        )
        assert head, macro.name
        takes = [word.split("=")[0].strip() for word in head.group(1).split(",") if word.strip()]
        described = [argument.name for argument in macro.arguments if argument.description]
        if not macro.description or described != takes:
            missing.append(f"{macro.name}({', '.join(takes)}): described are {described}")
    assert missing == []


def test_every_campaign_has_an_exposure_with_an_owner(manifest: Any) -> None:
    with (PROJECT_DIR / "seeds/campaigns.csv").open(newline="", encoding="utf-8") as file:
        campaigns = {row["campaign"] for row in csv.DictReader(file)}
    exposures = {exposure.meta.get("campaign"): exposure for exposure in manifest.exposures.values()}
    assert set(exposures) == campaigns
    for exposure in exposures.values():
        assert exposure.owner.email and exposure.description, exposure.name
        assert exposure.depends_on.nodes == ["model.tripline.campaign_outbox"], exposure.name
