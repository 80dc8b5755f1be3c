"""The declared sources as Dagster's definitions know them: those there were when the definitions were loaded."""

from __future__ import annotations

import warnings

import dagster as dg

from orchestration.errors import ConfigError
from orchestration.settings import get_settings
from orchestration.sources.declarations import SEGMENT, read_declarations


def source_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["sources", name])


def _declared() -> dict[str, str]:
    """Source to kind. A declaration that makes no sense stops the load, which says so; not all of Dagster."""
    try:
        declared = read_declarations(get_settings().sources_path)
    except ConfigError as error:
        warnings.warn(f"the sources have no pages: {error.message}", stacklevel=1)
        return {SEGMENT: "files"}
    return {SEGMENT: "files"} | {source.name: source.kind for source in declared}


SOURCES = _declared()
