{{ config(
    materialized='incremental',
    incremental_strategy='swap',
    swap_on="target.utc_day >= cast(affected.changed_from as date)",
    swap_time='utc_day'
) }}
-- depends_on: {{ ref('int_batch__affected_users') }} {{ ref('int_batch__limits') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
-- The last word of each user and UTC day on each trait. By day, because the working set always holds the whole day of
-- the first change; of simultaneous words the smallest key counts. A day whose identify calls say nothing keeps one
-- row without a trait, so that the user is known to have identified.
with identified as (
    select
        user_id,
        cast(occurred_at as date) as utc_day,
        occurred_at,
        event_key,
        traits,
        json_keys(traits) as trait_names
    from {{ ref('int_batch__events') }}
    where traits is not null and cast(occurred_at as date) >= cast(changed_from as date)
),

spoken as (
    select
        user_id,
        utc_day,
        occurred_at,
        event_key,
        traits,
        unnest(case when len(trait_names) > 0 then trait_names else [cast(null as varchar)] end) as trait_name
    from identified
),

ranked as (
    select
        *,
        row_number() over (partition by user_id, utc_day, trait_name order by occurred_at desc, event_key) as nth
    from spoken
),

final as (
    select
        user_id,
        utc_day,
        trait_name,
        json_extract(traits, '/' || replace(replace(trait_name, '~', '~0'), '/', '~1')) as trait_value,
        occurred_at as said_at
    from ranked
    where nth = 1
)

-- In the order of time, so that a plain bound on it skips row groups.
select * from final
order by utc_day, user_id, trait_name
