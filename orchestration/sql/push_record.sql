-- Appends what became of a group; `push_entries` is a table registered by the push.
insert into triggers.campaign_deliveries (
    delivery_seq, idempotency_key, decision_id, destination, campaign, trigger_name, user_id,
    status, attempt, push_id, recorded_at, http_status, answer, retry_at
)

with

push_entries as (select * from push_entries),

last_delivery as (
    select coalesce(max(delivery_seq), 0) as delivery_seq
    from triggers.campaign_deliveries
),

final as (
    select
        last_delivery.delivery_seq + row_number() over (order by push_entries.idempotency_key) as delivery_seq,
        push_entries.idempotency_key,
        push_entries.decision_id,
        push_entries.destination,
        push_entries.campaign,
        push_entries.trigger_name,
        push_entries.user_id,
        push_entries.status,
        push_entries.attempt,
        push_entries.push_id,
        push_entries.recorded_at,
        push_entries.http_status,
        push_entries.answer,
        push_entries.retry_at,
    from push_entries
    cross join last_delivery
)

select * from final
