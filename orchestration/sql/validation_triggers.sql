-- What is to be said of each user and trigger: the flag, what it rests on, and the timer of an absence.
with users as (
    select distinct user_id
    from batches.int_batch__events
),

timers as (
    select
        matches.user_id,
        matches.trigger_name,
        min(matches.matched_at) as due_at,
    from triggers.trigger_matches as matches
    cross join batches.int_batch__limits as limits
    where matches.is_absence and matches.matched_at > limits.clock_at
    group by matches.user_id, matches.trigger_name
)

select
    users.user_id,
    triggers.trigger_name,
    triggers.is_enabled = 'true' as is_enabled,
    coalesce(flags.is_flagged, false) as is_flagged,
    flags.flagged_since,
    flags.observed_value,
    flags.threshold_value,
    coalesce(matches.is_absence, false) as is_absence,
    coalesce(matches.event_keys, []) as event_keys,
    matches.window_started_at,
    timers.due_at,
from users
cross join config.triggers as triggers
left join triggers.user_trigger_flags as flags
    on users.user_id = flags.user_id and triggers.trigger_name = flags.trigger_name
left join triggers.trigger_matches as matches
    on flags.user_id = matches.user_id
    and flags.trigger_name = matches.trigger_name
    and flags.flagged_since = matches.matched_at
left join timers
    on users.user_id = timers.user_id and triggers.trigger_name = timers.trigger_name
order by users.user_id, triggers.trigger_name
