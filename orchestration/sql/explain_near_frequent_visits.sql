-- The day with the most visits. A visit belongs to the day it starts in.
with visits as (
    select
        user_id,
        visit_started_us,
        min(local_day) as local_day,
    from user_events
    where is_active
    group by user_id, visit_started_us
),

days as (
    select
        user_id,
        local_day,
        count(*) as observed_value,
    from visits
    group by user_id, local_day
)

select
    user_id,
    observed_value,
    cast(local_day as timestamp) as at,
    cast(null as varchar) as subject,
from days
qualify row_number() over (partition by user_id order by observed_value desc, local_day) = 1
