-- Who is still to be told: firings with a campaign, less what the delivery log says is done.
with firings as (
    select * from {{ ref('trigger_firings') }}
    where campaign is not null and campaign <> ''
),

addressed as (
    select
        firings.*,
        campaigns.destination,
        md5(firings.decision_id || '|' || campaigns.destination) as idempotency_key
    from firings
    inner join {{ ref('campaigns') }} as campaigns on firings.campaign = campaigns.campaign
    where campaigns.is_enabled = 'true'
),

deliveries as (
    select
        idempotency_key,
        arg_max(status, delivery_seq) as delivery_status,
        max(attempt) as attempts,
        arg_max(struct_pack(retry_at := retry_at), delivery_seq).retry_at as retry_at
    from {{ source('triggers', 'campaign_deliveries') }}
    group by idempotency_key
),

final as (
    select
        -- key
        addressed.idempotency_key,
        addressed.decision_id,
        addressed.destination,
        addressed.campaign,

        -- the firing
        addressed.trigger_name,
        addressed.user_id,
        addressed.matched_at,
        addressed.decided_at,
        addressed.window_started_at,
        addressed.event_keys,
        addressed.observed_value,
        addressed.threshold_value,
        addressed.variant,
        matches.user_id is not null as is_match_present,

        -- its delivery so far
        deliveries.delivery_status,
        coalesce(deliveries.attempts, 0) as attempts,
        deliveries.retry_at,

        -- what is sent
        json_object(
            'user_id', addressed.user_id,
            'trigger', addressed.trigger_name,
            'matched_at', strftime(addressed.matched_at, '%Y-%m-%dT%H:%M:%S.%fZ'),
            'campaign', addressed.campaign,
            'variant', addressed.variant,
            'evidence', json_object(
                'event_keys', addressed.event_keys,
                'window_started_at', strftime(addressed.window_started_at, '%Y-%m-%dT%H:%M:%S.%fZ'),
                'observed_value', cast(addressed.observed_value as double),
                'threshold_value', cast(addressed.threshold_value as double)
            )
        ) as payload
    from addressed
    left join {{ ref('trigger_matches') }} as matches
        on addressed.trigger_name = matches.trigger_name
        and addressed.user_id = matches.user_id
        and addressed.matched_at = matches.matched_at
    left join deliveries on addressed.idempotency_key = deliveries.idempotency_key
    where
        deliveries.delivery_status is null
        or deliveries.delivery_status not in ('delivered', 'rejected', 'cancelled', 'dry_run')
)

select * from final
