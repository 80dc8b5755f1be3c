-- Writes down what is about to be done, before it is done. Parameters: $now, $push_id, $is_dry_run.
insert into triggers.campaign_deliveries (
    delivery_seq, idempotency_key, decision_id, destination, campaign, trigger_name, user_id,
    status, attempt, push_id, recorded_at, answer
)

with

push_due as (select * from push_due),

last_delivery as (
    select coalesce(max(delivery_seq), 0) as delivery_seq
    from triggers.campaign_deliveries
),

final as (
    select
        last_delivery.delivery_seq + row_number() over (order by push_due.idempotency_key) as delivery_seq,
        push_due.idempotency_key,
        push_due.decision_id,
        push_due.destination,
        push_due.campaign,
        push_due.trigger_name,
        push_due.user_id,
        case
            when push_due.verdict = 'cancel' then 'cancelled'
            when $is_dry_run then 'dry_run'
            else 'claimed'
        end as status,
        push_due.attempts + 1 as attempt,
        $push_id as push_id,
        $now::timestamp as recorded_at,
        case
            when push_due.verdict = 'cancel' and push_due.is_in_doubt
                then 'the match is gone; whether an earlier attempt arrived is not known'
            when push_due.verdict = 'cancel' then 'the match is gone'
        end as answer,
    from push_due
    cross join last_delivery
)

select * from final
