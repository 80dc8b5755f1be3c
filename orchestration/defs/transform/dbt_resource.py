"""The dbt command, as the assets use it."""

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration.dbt_manifest import DBT_EXECUTABLE, DBT_PROJECT_DIR


@dg.definitions
def dbt_resource() -> dg.Definitions:
    # The executable beside this Python: the environment need not be activated.
    dbt = DbtCliResource(
        project_dir=str(DBT_PROJECT_DIR), profiles_dir=str(DBT_PROJECT_DIR), dbt_executable=str(DBT_EXECUTABLE)
    )
    return dg.Definitions(resources={"dbt": dbt})
