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

reached as (
    select
        stale.*,
        stale.decided_at + interval 1 second * stale.max_age_seconds as address_deadline_at,
        struct_extract(deliveries.latest, 'status') as delivery_status,
        struct_extract(deliveries.latest, 'retry_at') as retry_at,
        coalesce(deliveries.attempts, 0) as attempts,
        deliveries.tried_address_hash,
        profiles.email,
        profiles.phone,
        coalesce(profiles.external_ids, cast('{}' as json)) as external_ids,
        list_prepend('user_id', coalesce(profiles.address_kinds, [])) as address_kinds,
        md5(json_array(profiles.email, profiles.phone, coalesce(profiles.external_ids, cast('{}' as json))))
            as address_hash
    from stale
    left join deliveries on stale.idempotency_key = deliveries.idempotency_key
    left join {{ ref('user_profiles') }} as profiles on stale.user_id = profiles.user_id
    where
        deliveries.latest is null
        or struct_extract(deliveries.latest, 'status') not in ('delivered', 'rejected', 'cancelled', 'dry_run')
),

final as (
    select
        -- key
        reached.outbox_seq,
        reached.idempotency_key,
        reached.decision_id,
        reached.destination,
        reached.campaign,

        -- the match
        reached.trigger_name,
        reached.user_id,
        reached.matched_at,
        reached.decided_at,
        reached.window_started_at,
        reached.event_keys,
        reached.observed_value,
        reached.threshold_value,
        reached.variant,
        matches.user_id is not null as is_match_present,

        -- what is done on the platform
        reached.action,
        reached.platform_ref,

        -- where to
        reached.email,
        reached.phone,
        reached.external_ids,
        reached.address_kinds,
        reached.address_hash,
        reached.address_deadline_at,
        coalesce(limits.clock_at > reached.address_deadline_at, false) as is_address_overdue,
        case
            when reached.delivery_status = 'waiting_for_address'
                then reached.address_hash <> coalesce(reached.tried_address_hash, 'not logged')
            else false
        end as has_new_address,

        -- its delivery so far
        reached.delivery_status,
        reached.attempts,
        reached.retry_at,

        -- what is sent
        {{ campaign_payload('reached', 'products') | indent(8) }} as payload
    from reached
    left join {{ ref('trigger_matches') }} as matches
        on reached.trigger_name = matches.trigger_name
        and reached.user_id = matches.user_id
        and reached.matched_at = matches.matched_at
    left join {{ ref('firing_products') }} as products on reached.decision_id = products.decision_id
    left join {{ ref('int_batch__limits') }} as limits on true
)

select * from final
