-- Which row of each key counts from this batch on.
create or replace temp table load_standing as
with counting as (
    select *
    from load_earlier
    where event_seq not in (select event_seq from raw.superseded_events)
),

judged as (
    select
        load_best.row_id,
        counting.event_seq as earlier_event_seq,
        counting.occurred_at as earlier_occurred_at,
        case
            when counting.event_seq is null then true
            when (load_best.received_at is not distinct from counting.received_at)
                then load_typed.event_text < load_tied_texts.event_text
            when load_best.received_at is null then false
            when counting.received_at is null then true
            else load_best.received_at < counting.received_at
        end as is_winner,
    from load_best
    inner join load_typed using (row_id)
    left join counting on load_best.event_key = counting.event_key
    left join load_tied_texts on counting.event_seq = load_tied_texts.event_seq
)

select
    load_order.row_id,
    load_order.event_seq,
    not coalesce(judged.is_winner, false) as is_duplicate,
    case when judged.is_winner then judged.earlier_event_seq end as superseded_event_seq,
    case when judged.is_winner then judged.earlier_occurred_at end as superseded_occurred_at,
from load_order
left join judged using (row_id);
