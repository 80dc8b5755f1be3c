-- Matches that were too old to fire, as an outbox of their own: nobody is told, but a destination with a history mode
-- can be given them when a person asks for that (`tripline push --history`). Columns are those of campaign_outbox.
with stale as (
    select
        decisions.*,
        campaigns.destination,
        nullif(campaigns.action, '') as action,
        nullif(campaigns.platform_ref, '') as platform_ref,
        md5(decisions.decision_id || '|' || campaigns.destination) as idempotency_key,
        -- Over all of them, settled or not, and by batch first: a row keeps its number.
        row_number() over (
            order by decisions.batch_id, decisions.matched_at, decisions.decision_id, campaigns.destination
        ) as outbox_seq
    from {{ ref('trigger_decisions') }} as decisions
    inner join {{ ref('campaigns') }} as campaigns on decisions.campaign = campaigns.campaign
    where
        decisions.decision = 'suppressed'
        and decisions.reason = 'stale'
        and campaigns.is_enabled = 'true'
),

deliveries as (
    select
        idempotency_key,
        arg_max(struct_pack(status := status, retry_at := retry_at), delivery_seq) as latest,
        arg_max(address_hash, delivery_seq) as tried_address_hash,
        max(attempt) as attempts
    from {{ source('triggers', 'campaign_deliveries') }}
    group by idempotency_key
),

open_rows as (
    select
        stale.*,
        stale.decided_at + interval 1 second * stale.max_age_seconds as address_deadline_at,
        struct_extract(deliveries.latest, 'status') as delivery_status,
        struct_extract(deliveries.latest, 'retry_at') as retry_at,
        coalesce(deliveries.attempts, 0) as attempts,
        deliveries.tried_address_hash
    from stale
    left join deliveries on stale.idempotency_key = deliveries.idempotency_key
    where
        deliveries.latest is null
        or struct_extract(deliveries.latest, 'status') not in ('delivered', 'rejected', 'cancelled', 'dry_run')
),

{{ outbox_rows('open_rows') }}

select * from final
