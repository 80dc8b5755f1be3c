"""What `dagster dev` loads: everything under defs/, run in one process, because one process can write to DuckDB."""

from functools import cache
from pathlib import Path

import dagster as dg


# Dagster calls this for each run; a warm worker finds it done.
@dg.definitions
@cache
def defs() -> dg.Definitions:
    found = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
    return dg.Definitions.merge(found, dg.Definitions(executor=dg.in_process_executor))
