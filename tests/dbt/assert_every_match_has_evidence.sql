-- Nothing matches without events to show for it, and no evidence is later than what it proves.
select
    matches.trigger_name,
    matches.user_id,
    matches.matched_at
from {{ ref('trigger_matches') }} as matches
where
    matches.user_id in (select affected.user_id from {{ ref('int_batch__affected_users') }} as affected)
    and (
        coalesce(len(matches.event_keys), 0) = 0
        or len(matches.event_keys) <> len(list_distinct(matches.event_keys))
        or matches.window_started_at is null
        or matches.window_started_at > matches.matched_at
        or matches.observed_value is null
        or matches.observed_value < matches.threshold_value
    )
