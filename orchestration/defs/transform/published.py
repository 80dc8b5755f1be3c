"""The database that people query, brought up to date after every batch."""

from typing import Any

import dagster as dg

from orchestration.dagster_names import PROMPT_DELIVERIES, PUBLISHED, PUBLISHED_TABLES, WAREHOUSE_POOL, failure
from orchestration.errors import TriplineError
from orchestration.settings import get_settings


@dg.asset(
    key=PUBLISHED,
    # The deliveries too, so that what the batch sent is published with it.
    deps=[PROMPT_DELIVERIES, *PUBLISHED_TABLES],
    group_name="published",
    kinds={"duckdb"},
    pool=WAREHOUSE_POOL,
)
def query_tables(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    """A separate file, replaced whole: open sessions keep what they see, and nobody ever waits for a batch."""
    from orchestration.publish import publish

    settings = get_settings()
    try:
        report = publish(settings)
    except TriplineError as error:
        raise failure(error) from error
    facts = report.model_dump(mode="json")
    return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(settings.published_path), **facts})
