"""The dbt command, as the assets use it."""

import dagster as dg
from dagster_dbt import DbtCliResource

from orchestration.dbt_manifest import DBT_EXECUTABLE, DBT_PROJECT_DIR
from orchestration.settings import get_settings
from orchestration.warm.stand_in import stand_in


@dg.definitions
def dbt_resource() -> dg.Definitions:
    settings = get_settings()
    # The executable beside this Python: the environment need not be activated.
    executable = stand_in(settings.dagster_path, DBT_EXECUTABLE) if settings.warm_runs else DBT_EXECUTABLE
    dbt = DbtCliResource(
        project_dir=str(DBT_PROJECT_DIR), profiles_dir=str(DBT_PROJECT_DIR), dbt_executable=str(executable)
    )
    return dg.Definitions(resources={"dbt": dbt})
