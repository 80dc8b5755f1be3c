-- The events that evidence can name.
select
    events.event_key,
    events.event_id,
    events.event_name,
    events.occurred_at,
from raw.events as events
where not events.is_duplicate
