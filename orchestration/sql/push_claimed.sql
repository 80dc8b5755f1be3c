-- The rows to send, oldest first; columns are the fields of OutboxRow.
select
    idempotency_key,
    decision_id,
    destination,
    campaign,
    trigger_name,
    user_id,
    matched_at,
    decided_at,
    is_match_present and not is_refused as is_match_present,
    delivery_status as previous_status,
    attempts + 1 as attempt,
    payload::varchar as payload,
    email,
    phone,
    external_ids::varchar as external_ids,
    action,
    platform_ref,
    is_history,
from push_claim
where verdict in ('send', 'reconcile')
order by outbox_seq
