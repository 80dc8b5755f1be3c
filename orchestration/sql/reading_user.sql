-- One row per defined trigger: its flag for $user_id with the evidence, what was decided last, and the timer that runs.
with limits as (
    select max(clock_at) as clock_at
    from batches.int_batch__limits
),

matches as (
    select * from triggers.trigger_matches
    where user_id = $user_id
),

flags as (
    select * from triggers.user_trigger_flags
    where user_id = $user_id
),

-- Between watermark and clock a match by absence counts as flagged already, and is decided when the watermark is there.
ranked_timers as (
    select
        matches.*,
        row_number() over (partition by matches.trigger_name order by matches.matched_at) as nth,
    from matches
    cross join limits
    where matches.is_absence and matches.matched_at > limits.clock_at
),

timers as (
    select * from ranked_timers
    where nth = 1
),

-- The decisions of one batch have one time.
ranked_decisions as (
    select
        *,
        row_number() over (
            partition by trigger_name order by decided_at desc, batch_id desc, matched_at desc, decision_id
        ) as nth,
    from triggers.trigger_decisions
    where user_id = $user_id
),

decisions as (
    select * from ranked_decisions
    where nth = 1
)

select
    defined.trigger_name,
    defined.is_enabled = 'true' as is_enabled,

    -- the flag
    coalesce(flags.is_flagged, false) as is_flagged,
    flags.flagged_since,
    flags.observed_value,
    flags.threshold_value,
    evidence.window_started_at,
    coalesce(evidence.event_keys, []) as event_keys,

    -- the latest decision
    decisions.decision,
    decisions.reason,
    decisions.decided_at,
    decisions.matched_at as decided_matched_at,
    decisions.campaign,

    -- the timer
    timers.matched_at as timer_matched_at,
    timers.window_started_at as timer_window_started_at,
    timers.threshold_value as timer_threshold_value,
    timers.event_keys as timer_event_keys,
from config.triggers as defined
left join flags on defined.trigger_name = flags.trigger_name
left join matches as evidence
    on flags.trigger_name = evidence.trigger_name and flags.flagged_since = evidence.matched_at
left join decisions on defined.trigger_name = decisions.trigger_name
left join timers on defined.trigger_name = timers.trigger_name
order by cast(defined.priority as bigint), defined.trigger_name
