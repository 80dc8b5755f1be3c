-- The day with the most sign-ins.
with days as (
    select
        user_id,
        local_day,
        count(*) as observed_value,
    from user_events
    where event_name = 'signed_in'
    group by user_id, local_day
)

select
    user_id,
    observed_value,
    cast(local_day as timestamp) as at,
    cast(null as varchar) as subject,
from days
qualify row_number() over (partition by user_id order by observed_value desc, local_day) = 1
