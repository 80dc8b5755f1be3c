-- Thresholds that the lines from $first_new on have crossed: a match by presence has the time of the event that first
-- proves it (semantics, section 4). One that is too old to be decided needs no batch at once.
with new_events as (
    select distinct
        events.user_id,
        events.occurred_at,
    from load_typed
    inner join batches.int_batch__events as events using (event_key)
    where load_typed.line_number >= $first_new
)

select
    flags.user_id,
    flags.trigger_name,
    flags.flagged_since,
from triggers.user_trigger_flags as flags
inner join triggers.trigger_matches as matches
    on flags.user_id = matches.user_id
    and flags.trigger_name = matches.trigger_name
    and flags.flagged_since = matches.matched_at
where
    flags.is_flagged
    and not matches.is_absence
    and exists (
        select 1
        from new_events
        where new_events.user_id = flags.user_id and new_events.occurred_at = flags.flagged_since
    )
order by flags.user_id, flags.trigger_name
