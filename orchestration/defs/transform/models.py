"""Every dbt model and seed as an asset, every dbt test that guards a decision as an asset check."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

from orchestration.dagster_dbt_run import build_models
from orchestration.dagster_names import DELIVERIES, PUBLISHED_TABLES, WAREHOUSE_POOL
from orchestration.dbt import AUDIT_TAG
from orchestration.dbt_manifest import prepared_project
from orchestration.settings import get_settings

PROJECT = prepared_project(get_settings())


class Translator(DagsterDbtTranslator):
    """Asset key = schema/table, group = folder."""

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """dbt's spec, less the edges from the delivery log: models subtract what it says is done, or count it, and the
        log is written from the outbox, a model of the same build. The graph shows the second."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        return spec.replace_attributes(deps=[dep for dep in spec.deps if dep.asset_key != DELIVERIES])

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        table = dbt_resource_props.get("identifier") or dbt_resource_props.get("alias") or dbt_resource_props["name"]
        return dg.AssetKey([dbt_resource_props["schema"], table])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        folders = dbt_resource_props["fqn"][1:-1]
        return folders[0] if folders else None


def _lasting() -> list[str]:
    translator = Translator()
    manifest = json.loads(PROJECT.manifest_path.read_text(encoding="utf-8"))
    found = []
    for node in manifest["nodes"].values():
        is_view = node["resource_type"] == "model" and node["config"]["materialized"] == "view"
        if node["resource_type"] == "seed" or (is_view and translator.get_asset_key(node) not in PUBLISHED_TABLES):
            found.append(node["name"])
    return sorted(found)


LASTING = _lasting()


@dbt_assets(
    manifest=PROJECT.manifest_path,
    project=PROJECT,
    dagster_dbt_translator=Translator(),
    name="dbt_models",
    exclude=f"resource_type:unit_test tag:{AUDIT_TAG}",
    pool=WAREHOUSE_POOL,
)
def dbt_models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Seeds, models and tests, in the order of their references, by one dbt command. Seeds, and views that no step
    waits for, only where a file of the project changed since they were made."""
    yield from build_models(context, dbt, get_settings(), LASTING)


finished_builds = dg.AssetSpec(
    dg.AssetKey(["batches", "finished_builds"]),
    group_name="batches",
    description="Builds that ended well, written when the last model did; where the next batch starts from.",
    kinds={"duckdb"},
)

config_versions = dg.AssetSpec(
    dg.AssetKey(["raw", "config_versions"]),
    group_name="batches",
    description="Every version of the seeds that a batch was computed with, written with the batch's limits.",
    kinds={"duckdb"},
)
