from __future__ import annotations

from typing import Any

import pytest

from orchestration.dbt import invoke
from orchestration.settings import Settings


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """dbt's own picture of the project; needs no warehouse."""
    result = invoke(Settings(home=tmp_path_factory.mktemp("lint")), ["parse"])
    assert result.success, result.exception
    return result.result
