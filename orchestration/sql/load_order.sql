-- The usable rows of the batch, narrow: their place in arrival order and what decides between copies.
create or replace temp table load_order as
select
    row_id,
    $last_event_seq + row_number() over (order by row_id) as event_seq,
    event_key,
    client_time,
    received_at,
from load_typed
where reason is null;
