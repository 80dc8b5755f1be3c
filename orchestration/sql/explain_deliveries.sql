select
    decision_id,
    delivery_seq,
    destination,
    campaign,
    status,
    attempt,
    recorded_at,
    http_status,
    answer,
    retry_at,
from triggers.campaign_deliveries
where decision_id in (select decision_id from stories)
order by delivery_seq
