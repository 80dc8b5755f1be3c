-- Every defined trigger, in the order in which they are decided, with what holds of it as of the build's clock.
with limits as (
    select max(clock_at) as clock_at
    from batches.int_batch__limits
),

defined as (
    select
        trigger_name,
        is_enabled = 'true' as is_enabled,
        cast(priority as bigint) as priority,
        cast(cooldown_seconds as bigint) as cooldown_seconds,
        cast(max_age_seconds as bigint) as max_age_seconds,
        campaign,
    from config.triggers
),

-- As user_trigger_flags has it, of which this is the count: a user's latest match lies within the greatest age where
-- any of them does, and no window over all matches has to be sorted for it.
matched as (
    select
        matches.trigger_name,
        bool_or(matches.is_absence) as is_absence,
        max(matches.matched_at) filter (where matches.matched_at <= limits.clock_at) as last_matched_at,
        count(distinct matches.user_id) filter (
            where
            matches.matched_at <= limits.clock_at
            and epoch_us(limits.clock_at) - epoch_us(matches.matched_at) <= defined.max_age_seconds * 1000000
        ) as flagged_users,
    from triggers.trigger_matches as matches
    inner join defined on matches.trigger_name = defined.trigger_name
    cross join limits
    group by matches.trigger_name
),

decided as (
    select
        trigger_name,
        bool_or(is_absence) as is_absence,
        max(decided_at) filter (where decision = 'fired') as last_fired_at,
    from triggers.trigger_decisions
    group by trigger_name
)

select
    defined.*,
    coalesce(matched.is_absence, decided.is_absence) as is_absence,
    coalesce(matched.flagged_users, 0) as flagged_users,
    matched.last_matched_at,
    decided.last_fired_at,
from defined
left join matched on defined.trigger_name = matched.trigger_name
left join decided on defined.trigger_name = decided.trigger_name
order by defined.priority, defined.trigger_name
