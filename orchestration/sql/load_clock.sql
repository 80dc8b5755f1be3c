-- The time up to which the batch's data is complete: a replay's clock.
select coalesce(max(received_at), max(occurred_at)) as data_clock_at
from load_typed
where reason is null;
