-- Per trigger: what matched, what was done about it, and when it fired last.
with decided as (
    select
        trigger_name,
        count(*) as decisions,
        count(*) filter (where decision = 'fired') as fired,
        count(*) filter (where reason = 'anonymous') as suppressed_anonymous,
        count(*) filter (where reason = 'no_consent') as suppressed_no_consent,
        count(*) filter (where reason = 'stale') as suppressed_stale,
        count(*) filter (where reason = 'cooldown') as suppressed_cooldown,
        count(*) filter (where reason = 'frequency_cap') as suppressed_frequency_cap,
        max(decided_at) filter (where decision = 'fired') as last_fired_at
    from {{ ref('trigger_decisions') }}
    group by trigger_name
),

matched as (
    select
        trigger_name,
        count(*) as matches,
        max(matched_at) as last_matched_at
    from {{ ref('trigger_matches') }}
    group by trigger_name
),

final as (
    select
        triggers.trigger_name,
        triggers.is_enabled = 'true' as is_enabled,
        coalesce(matched.matches, 0) as matches,
        coalesce(decided.decisions, 0) as decisions,
        coalesce(decided.fired, 0) as fired,
        coalesce(decided.suppressed_anonymous, 0) as suppressed_anonymous,
        coalesce(decided.suppressed_no_consent, 0) as suppressed_no_consent,
        coalesce(decided.suppressed_stale, 0) as suppressed_stale,
        coalesce(decided.suppressed_cooldown, 0) as suppressed_cooldown,
        coalesce(decided.suppressed_frequency_cap, 0) as suppressed_frequency_cap,
        matched.last_matched_at,
        decided.last_fired_at
    from {{ ref('triggers') }} as triggers
    left join matched on triggers.trigger_name = matched.trigger_name
    left join decided on triggers.trigger_name = decided.trigger_name
)

select * from final
