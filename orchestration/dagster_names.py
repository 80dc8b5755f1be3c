"""Names that more than one Dagster definition needs, and how an error of ours looks as a failed step."""

from __future__ import annotations

import dagster as dg

from orchestration.errors import TriplineError

BATCH_JOB = "process_micro_batch_job"
PUSH_JOB = "push_firings_job"
AUDIT_JOB = "audit_tables_job"
DESTINATION_TAG = "tripline/destination"  # set by a person: push only this one
DESTINATIONS_TAG = "tripline/destinations"  # set by the run: those it dealt with

# Both have the instance's default limit, one run at a time. A push holds the warehouse for moments only, so it may
# run beside a batch; two pushes would send the same rows.
WAREHOUSE_POOL = "warehouse"
PUSH_POOL = "push"

RAW_TABLES = {
    "events": "Every usable event, copies too, unchanged, in arrival order.",
    "superseded_events": "Rows that counted until a better copy of the same event came.",
    "quarantined_events": "What could not be used, with its text and the reason.",
    "load_batches": "One row per batch and source: counts, and how far the source is complete.",
    "loaded_files": "Which files were taken, by content, and which were set aside.",
    "sources": "What is declared, as of the last batch.",
    "stream_positions": "Up to where each partition of a stream was read: where the next batch goes on.",
    "stream_messages": "Key, headers and time of each message of a stream.",
    "stream_gaps": "Messages that were gone before they were read.",
}
RAW_EVENTS = dg.AssetKey(["raw", "events"])
FIRINGS = dg.AssetKey(["triggers", "trigger_firings"])
OUTBOX = dg.AssetKey(["triggers", "campaign_outbox"])
PROMPT_DELIVERIES = dg.AssetKey(["activate", "prompt_deliveries"])
DELIVERIES = dg.AssetKey(["triggers", "campaign_deliveries"])
PUBLISHED = dg.AssetKey(["published", "query_tables"])
# What publishing waits for.
PUBLISHED_TABLES = [
    dg.AssetKey(["triggers", "trigger_matches"]),
    dg.AssetKey(["triggers", "trigger_decisions"]),
    FIRINGS,
    dg.AssetKey(["triggers", "user_trigger_flags"]),
    dg.AssetKey(["triggers", "user_behavior"]),
    dg.AssetKey(["triggers", "user_profiles"]),
    OUTBOX,
    dg.AssetKey(["monitoring", "trigger_health"]),
    dg.AssetKey(["monitoring", "trigger_quality"]),
]


def failure(error: TriplineError, metadata: dict[str, dg.MetadataValue] | None = None) -> dg.Failure:
    """The step's failure, saying what to do. No retry inside the run: the next tick or batch is the retry."""
    advice = error.hint or "see the text above"
    next_run = "a later run tries again by itself" if error.retry else "runs fail like this until it is mended"
    return dg.Failure(
        description=f"{error.message}\n\nWhat to do: {advice} ({next_run}).",
        metadata={"what_to_do": advice, **(metadata or {})},
        allow_retries=False,
    )
