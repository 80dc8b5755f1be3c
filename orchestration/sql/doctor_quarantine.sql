select
    reason,
    count(*) as events,
from raw.quarantined_events
where batch_id = $batch_id
group by reason
order by events desc, reason
