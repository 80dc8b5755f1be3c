-- What no push will send by itself: refused for good, or in doubt at a destination where a person decides. `tripline
-- redeliver` and `tripline release` bring rows back.
with deliveries as (
    select * from {{ source('triggers', 'campaign_deliveries') }}
),

latest as (
    select
        idempotency_key,
        arg_max(status, delivery_seq) as status,
        max(delivery_seq) as delivery_seq,
        max(attempt) as attempts,
        min(recorded_at) as first_tried_at
    from deliveries
    group by idempotency_key
),

final as (
    select
        deliveries.idempotency_key,
        deliveries.decision_id,
        deliveries.destination,
        deliveries.campaign,
        deliveries.trigger_name,
        deliveries.user_id,
        deliveries.status,
        deliveries.http_status,
        deliveries.answer as reason,
        latest.attempts,
        latest.first_tried_at,
        deliveries.recorded_at
    from latest
    inner join deliveries on latest.delivery_seq = deliveries.delivery_seq
    where latest.status in ('rejected', 'held')
)

select * from final
