-- Per destination: what became of the deliveries, and how long after the decision they arrived.
with states as (
    select
        idempotency_key,
        arg_max(destination, delivery_seq) as destination,
        arg_max(decision_id, delivery_seq) as decision_id,
        arg_max(status, delivery_seq) as status,
        max(attempt) as attempts,
        max(recorded_at) as recorded_at,
        min(recorded_at) filter (where status = 'claimed') as claimed_at
    from {{ source('triggers', 'campaign_deliveries') }}
    group by idempotency_key
),

final as (
    select
        states.destination,
        count(*) as deliveries,
        count(*) filter (where states.status = 'delivered') as delivered,
        count(*) filter (where states.status = 'rejected') as rejected,
        count(*) filter (where states.status = 'failed') as failed,
        count(*) filter (where states.status = 'unknown') as unknown,
        count(*) filter (where states.status = 'cancelled') as cancelled,
        count(*) filter (where states.attempts > 1) as sent_more_than_once,
        median(date_diff('millisecond', states.claimed_at, states.recorded_at) / 1000.0)
        filter (where states.status = 'delivered') as median_seconds,
        quantile_cont(date_diff('millisecond', states.claimed_at, states.recorded_at) / 1000.0, 0.95)
        filter (where states.status = 'delivered') as p95_seconds
    from states
    group by states.destination
)

select * from final
