-- Who is still to be told: firings with a campaign, less what the delivery log says is done.
with firings as (
    select * from {{ ref('trigger_firings') }}
    where campaign is not null and campaign <> ''
),

addressed as (
    select
        firings.*,
        campaigns.destination,
        nullif(campaigns.action, '') as action,
        nullif(campaigns.platform_ref, '') as platform_ref,
        md5(firings.decision_id || '|' || campaigns.destination) as idempotency_key
    from firings
    inner join {{ ref('campaigns') }} as campaigns on firings.campaign = campaigns.campaign
    where campaigns.is_enabled = 'true'
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
        addressed.*,
        struct_extract(deliveries.latest, 'status') as delivery_status,
        struct_extract(deliveries.latest, 'retry_at') as retry_at,
        deliveries.tried_address_hash,
        coalesce(deliveries.attempts, 0) as attempts,
        addressed.decided_at + interval 1 second * coalesce(addressed.max_age_seconds, 0) as address_deadline_at
    from addressed
    left join deliveries on addressed.idempotency_key = deliveries.idempotency_key
    where
        deliveries.latest is null
        or struct_extract(deliveries.latest, 'status') not in ('delivered', 'rejected', 'cancelled', 'dry_run')
),

-- Whom a campaign can reach, and by what. Every user of a firing has an id; the profile may know more.
profiles as (
    select
        user_id,
        email,
        phone,
        external_ids,
        address_kinds,
        md5(json_array(email, phone, external_ids)) as address_hash
    from {{ ref('user_profiles') }}
),

final as (
    select
        -- key
        open_rows.idempotency_key,
        open_rows.decision_id,
        open_rows.destination,
        open_rows.campaign,

        -- the firing
        open_rows.trigger_name,
        open_rows.user_id,
        open_rows.matched_at,
        open_rows.decided_at,
        open_rows.window_started_at,
        open_rows.event_keys,
        open_rows.observed_value,
        open_rows.threshold_value,
        open_rows.variant,
        matches.user_id is not null as is_match_present,

        -- what is done on the platform
        open_rows.action,
        open_rows.platform_ref,

        -- where to
        profiles.email,
        profiles.phone,
        coalesce(profiles.external_ids, cast('{}' as json)) as external_ids,
        list_prepend('user_id', coalesce(profiles.address_kinds, [])) as address_kinds,
        coalesce(profiles.address_hash, '') as address_hash,
        open_rows.address_deadline_at,
        coalesce(limits.clock_at > open_rows.address_deadline_at, false) as is_address_overdue,
        case
            when open_rows.delivery_status = 'waiting_for_address'
                then coalesce(profiles.address_hash, '') <> coalesce(open_rows.tried_address_hash, 'not logged')
            else false
        end as has_new_address,

        -- its delivery so far
        open_rows.delivery_status,
        open_rows.attempts,
        open_rows.retry_at,

        -- what is sent
        {{ campaign_payload('open_rows', 'profiles', 'products') | indent(8) }} as payload
    from open_rows
    left join {{ ref('trigger_matches') }} as matches
        on open_rows.trigger_name = matches.trigger_name
        and open_rows.user_id = matches.user_id
        and open_rows.matched_at = matches.matched_at
    left join profiles on open_rows.user_id = profiles.user_id
    left join {{ ref('firing_products') }} as products on open_rows.decision_id = products.decision_id
    left join {{ ref('int_batch__limits') }} as limits on true
)

select * from final
