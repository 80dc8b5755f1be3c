-- Rows of the seeds that differ from what the last build was made with.
with thresholds as (
    select trigger_name, variant || '.' || parameter as what, value
    from seeded.trigger_thresholds
),

built_thresholds as (
    select trigger_name, variant || '.' || parameter as what, value
    from config.trigger_thresholds
),

decisions as (
    unpivot (
        select trigger_name, is_enabled, priority, cooldown_seconds, max_age_seconds, campaign
        from seeded.triggers
    )
    on columns(* exclude (trigger_name)) into name what value value
),

built_decisions as (
    unpivot (
        select trigger_name, is_enabled, priority, cooldown_seconds, max_age_seconds, campaign
        from config.triggers
    )
    on columns(* exclude (trigger_name)) into name what value value
),

now_rows as (
    select * from thresholds
    union all
    select * from decisions
),

built_rows as (
    select * from built_thresholds
    union all
    select * from built_decisions
)

select
    coalesce(now_rows.trigger_name, built_rows.trigger_name) as trigger_name,
    coalesce(now_rows.what, built_rows.what) as what,
    built_rows.value as built_value,
    now_rows.value as value, -- noqa: AL09
from now_rows
full outer join built_rows
    on now_rows.trigger_name = built_rows.trigger_name and now_rows.what = built_rows.what
where nullif(now_rows.value, '') is distinct from nullif(built_rows.value, '')
order by trigger_name, what
