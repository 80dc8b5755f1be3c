-- Copies share client_time, so that time bounds the search for them. Most of a batch is near one day; what is
-- far from it is searched for apart, lest a few late or misdated events widen the scan for all.
with middle as (
    select quantile_disc(client_time, 0.5) as client_time
    from load_best
),

placed as (
    select
        load_best.client_time,
        load_best.client_time between middle.client_time - interval 1 day and middle.client_time + interval 1 day
            as is_near,
    from load_best
    cross join middle
    where load_best.client_time is not null
)

select
    min(client_time) filter (where is_near) as near_from,
    max(client_time) filter (where is_near) as near_to,
    min(client_time) filter (where not is_near) as far_from,
    max(client_time) filter (where not is_near) as far_to,
    (select count(*) from load_best where client_time is null) as without_time,
from placed;
