-- Events of the user by key. Parameter: $event_keys.
select
    event_key,
    event_name,
    occurred_at,
    product_id,
    category,
    price,
    quantity,
    page_url,
    batch_id,
from user_events
where event_key in (select unnest($event_keys::varchar[]))
order by occurred_at, event_key
