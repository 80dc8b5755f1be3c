-- The narrow time column alone says which few rows can be copies; only those are looked at by key.
create or replace temp table load_far as
select event_seq
from raw.events
where
    client_time between $far_from::timestamp and $far_to::timestamp
    and client_time in (
        select client_time from load_best
        where client_time < $near_from::timestamp or client_time > $near_to::timestamp
    );

insert into load_earlier
select
    event_seq,
    event_key,
    received_at,
    occurred_at,
from raw.events
where
    event_seq in (select event_seq from load_far)
    and not is_duplicate
    and event_key in (
        select event_key from load_best
        where client_time < $near_from::timestamp or client_time > $near_to::timestamp
    );
