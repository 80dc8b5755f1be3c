insert into raw.events by name
select
    load_standing.event_seq,
    $batch_id as batch_id,
    $clock_at::timestamp as loaded_at,
    load_files.source_name,
    load_files.file_name,
    load_typed.line_number,

    load_typed.event_key,
    load_typed.event_id,
    load_typed.known_user_id,
    load_typed.anonymous_id,
    load_typed.client_time,

    load_typed.event_type,
    load_typed.event_name,
    case
        when
            load_typed.occurred_at
            > coalesce(load_typed.received_at, $clock_at::timestamp) + interval 5 minutes
            then coalesce(load_typed.received_at, $clock_at::timestamp)
        else load_typed.occurred_at
    end as occurred_at,
    load_typed.received_at,

    load_typed.page_url,
    load_typed.product_id,
    load_typed.category,
    load_typed.price,
    load_typed.quantity,
    load_typed.order_id,
    load_typed.revenue,
    load_typed.currency,
    load_typed.properties,
    load_typed.traits,
    load_typed.consent,

    load_standing.is_duplicate,
    load_typed.event_text,
    load_hash(coalesce(load_typed.known_user_id, 'anon:' || load_typed.anonymous_id)) as identity_hash,
from load_typed
inner join load_standing using (row_id)
inner join load_files using (file_index)
-- In arrival order, which joins do not promise to keep.
order by load_standing.event_seq;

insert into raw.superseded_events by name
select
    load_standing.superseded_event_seq as event_seq,
    $batch_id as batch_id,
    load_typed.event_key,
    load_typed.known_user_id,
    load_typed.anonymous_id,
    load_standing.superseded_occurred_at as occurred_at,
from load_standing
inner join load_typed using (row_id)
where load_standing.superseded_event_seq is not null
order by load_standing.superseded_event_seq;

insert into raw.quarantined_events by name
select
    $batch_id as batch_id,
    $clock_at::timestamp as loaded_at,
    load_files.source_name,
    load_files.file_name,
    load_typed.line_number,
    load_typed.reason,
    load_typed.event_text as raw_text,
from load_typed
inner join load_files using (file_index)
where load_typed.reason is not null
order by load_typed.row_id;
