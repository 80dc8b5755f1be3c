select
    destination,
    coalesce(delivery_status, 'new') as status,
    count(*) as firings,
    min(decided_at) as oldest_decided_at,
from triggers.campaign_outbox
group by destination, status
order by destination, status
