-- The time up to which the batch's data is complete, a replay's clock; and how much there is of it.
select
    coalesce(max(received_at), max(occurred_at)) as data_clock_at,
    count(*) as events,
from load_typed
where reason is null;
