"""Programs that some tests need and pip does not bring."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(*names: str, why: str) -> str:
    """The path of the first of `names` that is there. Without one the test is skipped, and in CI it fails: nothing is
    missing there without anybody noticing."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        told = f"no {names[0]} here: {why}"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    return found
