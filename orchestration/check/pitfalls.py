"""The list of pitfalls.yml: what sqlglot passes silently, with how each is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from sqlglot import exp

from orchestration.check import pitfall_finders

DIALECTS = ("postgres", "spark", "snowflake", "bigquery")

Finder = Callable[[exp.Expr], bool]


@dataclass(frozen=True)
class Pitfall:
    """`why` says what goes wrong in `dialects`, `instead` what to write; `nodes` are the types that are one as such."""

    name: str
    dialects: tuple[str, ...]
    why: str
    instead: str
    nodes: tuple[type[exp.Expr], ...]
    finds: Finder
    example: str
    instead_example: str


def _read(entry: dict[str, Any]) -> Pitfall:
    how = entry["finds"]
    nodes = tuple(getattr(exp, name) for name in how.get("nodes", ()))
    if nodes:
        finds: Finder = pitfall_finders.is_of(*nodes)
    elif "joins" in how:
        finds = pitfall_finders.is_join_kind(*how["joins"])
    else:
        finds = getattr(pitfall_finders, how["function"])
    return Pitfall(
        name=entry["name"],
        dialects=tuple(entry["dialects"]),
        why=entry["why"],
        instead=entry["instead"],
        nodes=nodes,
        finds=finds,
        example=entry["example"],
        instead_example=entry["instead_example"],
    )


PITFALLS: tuple[Pitfall, ...] = tuple(
    _read(entry) for entry in yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
)
