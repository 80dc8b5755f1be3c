"""The vendors' published API descriptions, which are not part of the project: `../shared/specs` beside it, or the
folder that TRIPLINE_SPECS names. Bodies are checked against them as they are sent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from openapi_schema_validator import OAS30Validator

from orchestration.settings import PROJECT_DIR

# Read when the tests are collected: they run without any TRIPLINE_ variable.
NAMED = os.environ.get("TRIPLINE_SPECS")
FOLDER = Path(NAMED) if NAMED else PROJECT_DIR.parent / "shared" / "specs"

Check = Callable[[Any], list[str]]
"""What is wrong with a body, in words; empty where nothing is."""


def has_specification(path: str) -> bool:
    return (FOLDER / path).is_file()


def specification(path: str) -> dict[str, Any]:
    """A description, by its path in the folder. Fails the test where the folder is named and lacks it; skips it where
    there is no such folder at all."""
    file = FOLDER / path
    if not file.is_file():
        if NAMED or FOLDER.is_dir():
            pytest.fail(f"{FOLDER} lacks {path}: the vendor's published API description cannot be compared with")
        pytest.skip(f"there is no folder {FOLDER}; name one with TRIPLINE_SPECS (needed of it: {path})")
    described = json.loads(file.read_text(encoding="utf-8"))
    assert isinstance(described, dict)
    return described


@cache
def check_of(path: str, schema: str) -> Check:
    """A check by one schema of a description (OpenAPI 3.0 or Swagger 2.0) that also refuses fields it does not name:
    vendors ignore them, and a misspelt key would go unnoticed."""
    described = specification(path)
    if "swagger" in described:
        root = {"$ref": f"#/definitions/{schema}", "definitions": _closed(described["definitions"])}
        validator = Draft4Validator(root)
    else:
        components = {"schemas": _closed(described["components"]["schemas"])}
        validator = OAS30Validator({"$ref": f"#/components/schemas/{schema}", "components": components})

    def check(body: Any) -> list[str]:
        return [f"/{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(body)]

    return check


def _closed(schemas: dict[str, Any]) -> dict[str, Any]:
    closed: dict[str, Any] = json.loads(json.dumps(schemas), object_hook=_close)
    return closed


def _close(node: dict[str, Any]) -> dict[str, Any]:
    if node.get("type") == "object" and "properties" in node:
        node.setdefault("additionalProperties", False)
    return node
