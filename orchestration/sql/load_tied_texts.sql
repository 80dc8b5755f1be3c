-- The bounds are constants, so that the wide column is read from few row groups.
insert into load_tied_texts
select
    event_seq,
    event_text,
from raw.events
where
    event_seq between $first_seq and $last_seq
    and event_seq in (select event_seq from load_ties);
