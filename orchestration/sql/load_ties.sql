-- Rows received at the same time as their copy in this batch: texts decide between them.
create or replace temp table load_ties as
select load_earlier.event_seq
from load_earlier
inner join load_best using (event_key)
where load_earlier.received_at is not distinct from load_best.received_at;

create or replace temp table load_tied_texts (
    event_seq bigint not null,
    event_text varchar not null
);
