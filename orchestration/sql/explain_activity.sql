select
    count(*) as events,
    min(occurred_at) as first_at,
    max(occurred_at) as last_at,
    count(distinct visit_started_us) as visits,
from user_events
