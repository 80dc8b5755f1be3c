"""The check over all triggers that dbt compiled."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestration.check.contract import WORKING_SET
from orchestration.check.problems import Problem
from orchestration.check.relations import text_of_name
from orchestration.check.rules import check_sql
from orchestration.errors import ConfigError

COMPILE = "run `dbt compile` (or a batch), which writes it"


def check_project(
    target: Path | Mapping[str, Any], *, working_set: Mapping[str, Sequence[Sequence[str]]] = WORKING_SET
) -> list[Problem]:
    """The problems of every model in models/triggers/.

    `target`: dbt's target folder, its manifest.json, or the manifest's content. A model without compiled code in the
    manifest is read from <target>/compiled. Raises ConfigError where nothing is compiled.
    """
    manifest, folder = _read_manifest(target)
    nodes = list(manifest.get("nodes", {}).values())
    models = [node for node in nodes if node.get("resource_type") == "model"]
    triggers = [node for node in models if "models/triggers/" in node.get("original_file_path", "").replace("\\", "/")]
    if not triggers:
        raise ConfigError("dbt's manifest has no model in models/triggers/", COMPILE)
    columns = _declared_columns(models, working_set)
    return [
        problem
        for node in sorted(triggers, key=lambda node: str(node["name"]))
        for problem in check_sql(
            str(node["name"]), _compiled_sql(node, folder), working_set=working_set, working_set_columns=columns
        )
    ]


def _read_manifest(target: Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], Path | None]:
    if not isinstance(target, Path):
        return target, None
    path = target / "manifest.json" if target.is_dir() else target
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is not there: dbt has compiled nothing yet", COMPILE) from error
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path} is not JSON (line {error.lineno})", f"delete it and {COMPILE}") from error
    return content, path.parent


def _declared_columns(models: Sequence[Mapping[str, Any]], working_set: Collection[str]) -> dict[str, list[str]]:
    """The columns that the working set's YAML declares: a `select *` shows at least those."""
    named = {text_of_name(str(model["name"])): list(model.get("columns") or {}) for model in models}
    return {name: named[name] for name in working_set if named.get(name)}


def _compiled_sql(node: Mapping[str, Any], folder: Path | None) -> str:
    if node.get("compiled_code"):
        return str(node["compiled_code"])
    place = Path("compiled", node["package_name"], node["original_file_path"])
    path = folder / place if folder else None
    if path is None or not path.is_file():
        raise ConfigError(f"{node['name']} has no compiled SQL", COMPILE)
    return path.read_text(encoding="utf-8")
