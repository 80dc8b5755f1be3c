"""One direction: no model reads one of a later layer, and a trigger reads the working set and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("lint")

PREFIXES = {
    "staging": ("stg_",),
    "identity": ("int_",),
    "batches": ("int_batch__",),
    "behavior": ("int_", "user_behavior", "user_profiles"),
    "triggers": ("trg_",),
}
"""What people query has plain names: activation, monitoring, user_behavior and user_profiles."""

WORKING_SET = {"int_batch__events", "int_batch__visits", "int_batch__earlier_visits"}

LAYERS = ("staging", "batches", "behavior", "triggers", "activation", "monitoring")
LAYER_OF = {"identity": "batches"}
"""Whose a device is, is part of what bounds a batch: int_identity_log stands between two models of batches."""

WRITTEN_LATER = {
    # The outbox subtracts what the delivery log says is done; monitoring reads the log.
    "campaign_queue": {"triggers.campaign_deliveries"},
    "campaign_backlog": {"triggers.campaign_deliveries"},
    "campaign_history": {"triggers.campaign_deliveries"},
    "dead_letters": {"triggers.campaign_deliveries"},
    "delivery_latency": {"triggers.campaign_deliveries"},
    # Where the last finished build ended.
    "int_batch__limits": {"batches.finished_builds"},
    "int_batch__affected_users": {"batches.finished_builds"},
}
"""The sources beyond `raw` that a model may read, and why."""


def _models(manifest: Any) -> dict[str, Any]:
    return {node.name: node for node in manifest.nodes.values() if node.resource_type == "model"}


def _folder(node: Any) -> str:
    return str(node.fqn[1])


def _layer(node: Any) -> int:
    return LAYERS.index(LAYER_OF.get(_folder(node), _folder(node)))


def _parents(manifest: Any, node: Any, kind: str) -> list[Any]:
    ids = [unique_id for unique_id in node.depends_on.nodes if unique_id.startswith(f"{kind}.")]
    return [(manifest.sources if kind == "source" else manifest.nodes)[unique_id] for unique_id in ids]


def test_no_model_reads_a_later_layer(manifest: Any) -> None:
    wrong = [
        f"{node.name} reads {parent.name}"
        for node in _models(manifest).values()
        for parent in _parents(manifest, node, "model")
        if _layer(parent) > _layer(node)
    ]
    assert wrong == []


def test_staging_reads_only_what_was_loaded(manifest: Any) -> None:
    for node in _models(manifest).values():
        if _folder(node) == "staging":
            assert _parents(manifest, node, "model") == [], node.name
            assert {source.source_name for source in _parents(manifest, node, "source")} == {"raw"}, node.name


def test_only_the_first_layers_read_raw_tables(manifest: Any) -> None:
    """Bounds go inside the scan of raw.events, so staging and the bounds of the batch read it, and nothing after."""
    wrong = [
        f"{node.name} reads raw.{source.name}"
        for node in _models(manifest).values()
        for source in _parents(manifest, node, "source")
        if source.source_name == "raw" and LAYERS[_layer(node)] not in ("staging", "batches")
    ]
    assert wrong == []


def test_what_is_written_after_a_build_is_read_only_where_it_is_said(manifest: Any) -> None:
    for node in _models(manifest).values():
        sources = {f"{source.source_name}.{source.name}" for source in _parents(manifest, node, "source")}
        later = {name for name in sources if not name.startswith("raw.")}
        assert later <= WRITTEN_LATER.get(node.name, set()), node.name


def test_a_trigger_reads_the_working_set_and_its_thresholds_and_nothing_else(manifest: Any) -> None:
    for node in _models(manifest).values():
        if _folder(node) == "triggers":
            assert {parent.name for parent in _parents(manifest, node, "model")} <= WORKING_SET, node.name
            assert {parent.name for parent in _parents(manifest, node, "seed")} <= {"trigger_thresholds"}, node.name
            assert _parents(manifest, node, "source") == [], node.name


def test_a_table_is_read_before_it_is_built_only_by_the_models_that_say_so(manifest: Any) -> None:
    """get_previous_relation goes round dbt's graph: whoever calls it is named in its comment."""
    callers = {node.name for node in _models(manifest).values() if "get_previous_relation(" in node.raw_code}
    text = manifest.macros["macro.tripline.get_previous_relation"].macro_sql
    unnamed = {name for name in callers if name not in text} - {"int_batch__limits"}
    assert unnamed == set()


def test_names_say_the_layer(manifest: Any) -> None:
    for node in _models(manifest).values():
        prefixes = PREFIXES.get(_folder(node))
        if prefixes:
            assert node.name.startswith(prefixes), node.name
        else:
            assert not node.name.startswith(("stg_", "int_", "trg_")), node.name


def test_every_model_of_a_trigger_is_one_that_matches_are_made_of(manifest: Any) -> None:
    models = {name.removeprefix("trg_") for name, node in _models(manifest).items() if _folder(node) == "triggers"}
    matches = _models(manifest)["trigger_matches"]
    read = {parent.name.removeprefix("trg_") for parent in _parents(manifest, matches, "model")} & models
    assert read == models
