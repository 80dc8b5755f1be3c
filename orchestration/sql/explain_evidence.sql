-- Events by key, whoever owns them now. The time bounds stand on raw.events itself, so that DuckDB skips the rest of
-- history. Parameters: $event_keys, $from_time, $to_time.
with pointed as (
    select distinct unnest($event_keys::varchar[]) as event_key
),

copies as (
    select
        events.*,
        row_number() over (
            partition by events.event_key order by superseded.event_seq is not null, events.event_seq desc
        ) as nth,
    from raw.events as events
    left join raw.superseded_events as superseded on events.event_seq = superseded.event_seq
    where
        events.occurred_at between $from_time and $to_time
        and not events.is_duplicate
        and events.event_key in (select event_key from pointed)
)

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
from copies
where nth = 1
order by occurred_at, event_key
