-- Who is still to be told, without the joins that campaign_outbox needs: what a push chooses from.
with {{ queued_deliveries(ref('campaign_queue')) }}

final as (
    select
        queued.*,
        nullif(campaigns.action, '') as action,
        nullif(campaigns.platform_ref, '') as platform_ref
    from queued
    inner join {{ ref('campaigns') }} as campaigns
        on queued.campaign = campaigns.campaign and queued.destination = campaigns.destination
    where
        campaigns.is_enabled = 'true'
        and (
            queued.delivery_status is null
            or queued.delivery_status not in ('delivered', 'rejected', 'cancelled', 'dry_run')
        )
)

select
    outbox_seq,
    idempotency_key,
    decision_id,
    destination,
    campaign,
    trigger_name,
    user_id,
    matched_at,
    decided_at,
    window_started_at,
    event_keys,
    observed_value,
    threshold_value,
    variant,
    action,
    platform_ref,
    address_deadline_at,
    delivery_status,
    attempts,
    retry_at,
    tried_address_hash
from final
