-- A person's word on them: they are due again under the same key, or settled. Parameters: $status, $answer, $now.
insert into triggers.campaign_deliveries (
    delivery_seq, idempotency_key, decision_id, destination, campaign, trigger_name, user_id,
    status, attempt, push_id, recorded_at, answer
)

with

letters as (select * from letters),

last_delivery as (
    select coalesce(max(delivery_seq), 0) as delivery_seq
    from triggers.campaign_deliveries
),

final as (
    select
        last_delivery.delivery_seq + row_number() over (order by letters.idempotency_key) as delivery_seq,
        letters.idempotency_key,
        letters.decision_id,
        letters.destination,
        letters.campaign,
        letters.trigger_name,
        letters.user_id,
        $status as status,
        letters.attempts as attempt,
        'by hand' as push_id,
        $now::timestamp as recorded_at,
        $answer as answer,
    from letters
    cross join last_delivery
)

select * from final
