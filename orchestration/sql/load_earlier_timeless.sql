insert into load_earlier
select
    event_seq,
    event_key,
    received_at,
    occurred_at,
from raw.events
where
    client_time is null
    and not is_duplicate
    and event_key in (select event_key from load_best where client_time is null);
