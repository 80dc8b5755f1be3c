-- The rows to send, oldest decision first.
select
    idempotency_key,
    decision_id,
    destination,
    campaign,
    trigger_name,
    user_id,
    decided_at,
    is_match_present,
    delivery_status,
    attempts + 1 as attempt,
    payload::varchar as payload,
from push_due
where action in ('send', 'reconcile')
order by decided_at, idempotency_key
