"""The dbt command, as the assets use it."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration.dbt_manifest import DBT_EXECUTABLE, DBT_PROJECT_DIR
from orchestration.settings import get_settings
from orchestration.warm.stand_in import stand_in


class PlainDbtCliResource(DbtCliResource):
    """Without the handle on dbt's adapter that DbtCliResource makes before each command, which takes as long as a
    third of a micro-batch: it serves fetch_row_counts and fetch_column_metadata, which would open the warehouse while
    dbt has it."""

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


@dg.definitions
def dbt_resource() -> dg.Definitions:
    settings = get_settings()
    # The executable beside this Python: the environment need not be activated.
    executable = stand_in(settings.dagster_path, DBT_EXECUTABLE) if settings.warm_runs else DBT_EXECUTABLE
    dbt = PlainDbtCliResource(
        project_dir=str(DBT_PROJECT_DIR), profiles_dir=str(DBT_PROJECT_DIR), dbt_executable=str(executable)
    )
    return dg.Definitions(resources={"dbt": dbt})
