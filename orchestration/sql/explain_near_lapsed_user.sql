-- When the user was active last.
select
    user_id,
    cast(null as decimal(38, 8)) as observed_value,
    max(occurred_at) as at,
    cast(null as varchar) as subject,
from user_events
where is_active
group by user_id
