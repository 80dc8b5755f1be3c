"""What every trigger reads and gives: the one place in Python where both are written down."""

from __future__ import annotations

from collections.abc import Mapping

ROW_CONTRACT = (
    "trigger_name",
    "user_id",
    "matched_at",
    "variant",
    "is_absence",
    "window_started_at",
    "event_keys",
    "observed_value",
    "threshold_value",
)
"""The columns of every trg_ model; their meaning is in semantics, sections 4 and 6. More are allowed."""

EVENT_KEY = "event_key"

WORKING_SET: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "int_batch__events": ((EVENT_KEY,),),
    "int_batch__visits": (("user_id", "visit_started_us"), ("user_id", "visit_started_at")),
    "int_batch__earlier_visits": (("user_id", "visit_ended_us"),),
}
"""The relations that a trigger may read, by the last part of their names, each with its unique keys."""
