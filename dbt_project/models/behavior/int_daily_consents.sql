{{ config(
    materialized='incremental',
    incremental_strategy='swap',
    swap_on="target.utc_day >= cast(affected.changed_from as date)",
    swap_time='utc_day'
) }}
-- depends_on: {{ ref('int_batch__affected_users') }} {{ ref('int_batch__limits') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
-- The last word of each user and UTC day on the consent that campaigns need. By day, because the working set always
-- holds the whole day of the first change; of simultaneous words the refusal counts.
with spoken as (
    select
        user_id,
        cast(occurred_at as date) as utc_day,
        occurred_at,
        said_consent
    from {{ ref('int_batch__events') }}
    where said_consent is not null and cast(occurred_at as date) >= cast(changed_from as date)
),

ranked as (
    select
        *,
        rank() over (partition by user_id, utc_day order by occurred_at desc) as place
    from spoken
),

final as (
    select
        user_id,
        utc_day,
        bool_and(said_consent) as is_granted,
        max(occurred_at) as said_at
    from ranked
    where place = 1
    group by user_id, utc_day
)

select * from final
