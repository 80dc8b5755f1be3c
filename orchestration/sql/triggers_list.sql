-- The seeds as they stand now, with what came of each trigger so far.
with decided as (
    select
        trigger_name,
        count(*) filter (where decision = 'fired') as fired,
        max(decided_at) filter (where decision = 'fired') as last_fired_at,
    from triggers.trigger_decisions
    group by trigger_name
),

limits as (
    select max(watermark_at) as watermark_at
    from batches.int_batch__limits
),

matched as (
    select
        matches.trigger_name,
        count(*) filter (where not matches.is_absence or matches.matched_at <= limits.watermark_at) as matches,
        count(*) filter (where matches.is_absence and not coalesce(matches.matched_at <= limits.watermark_at, false))
            as waiting,
    from triggers.trigger_matches as matches
    cross join limits
    group by matches.trigger_name
)

select
    seeds.trigger_name,
    seeds.is_enabled = 'true' as is_enabled,
    cast(seeds.priority as bigint) as priority,
    cast(seeds.cooldown_seconds as bigint) as cooldown_seconds,
    cast(seeds.max_age_seconds as bigint) as max_age_seconds,
    seeds.campaign,
    campaigns.destination,
    coalesce(campaigns.is_enabled = 'true', false) as is_campaign_enabled,
    coalesce(matched.matches, 0) as matches,
    coalesce(matched.waiting, 0) as waiting,
    coalesce(decided.fired, 0) as fired,
    decided.last_fired_at,
from seeded.triggers as seeds
left join seeded.campaigns as campaigns on seeds.campaign = campaigns.campaign
left join matched on seeds.trigger_name = matched.trigger_name
left join decided on seeds.trigger_name = decided.trigger_name
order by priority, seeds.trigger_name
