-- The rows of triggers.trigger_matches, timers among them.
select
    trigger_name,
    user_id,
    matched_at,
    variant,
    is_absence,
    window_started_at,
    event_keys,
    observed_value,
    threshold_value,
    linked_anonymous_ids,
from triggers.trigger_matches
order by user_id, trigger_name, matched_at
