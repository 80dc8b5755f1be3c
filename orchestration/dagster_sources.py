"""The declared sources as Dagster's definitions know them: those there were when the definitions were loaded."""

from __future__ import annotations

import dagster as dg

from orchestration.settings import get_settings
from orchestration.sources.declarations import KINDS, SEGMENT, read_kinds


def source_key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["sources", name])


# By their names alone: the template of warm runs may not open DuckDB, which starts threads.
SOURCES = {SEGMENT: "files"} | {
    name: kind for name, kind in read_kinds(get_settings().sources_path).items() if kind in KINDS
}
