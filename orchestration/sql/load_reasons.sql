select
    reason,
    count(*) as events,
from load_typed
where reason is not null
group by reason
order by reason;
