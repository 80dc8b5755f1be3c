-- Who is still to be told, what and where: the backlog with all that a destination needs. Everything is joined from
-- the left, so a bound on outbox_seq reaches the queue, and only those rows' payloads are made.
with backlog as (
    select * from {{ ref('campaign_backlog') }}
),

reached as (
    select
        backlog.*,
        profiles.email,
        profiles.phone,
        coalesce(profiles.external_ids, cast('{}' as json)) as external_ids,
        list_prepend('user_id', coalesce(profiles.address_kinds, [])) as address_kinds,
        md5(json_array(profiles.email, profiles.phone, coalesce(profiles.external_ids, cast('{}' as json))))
            as address_hash
    from backlog
    left join {{ ref('user_profiles') }} as profiles on backlog.user_id = profiles.user_id
),

final as (
    select
        -- key
        reached.outbox_seq,
        reached.idempotency_key,
        reached.decision_id,
        reached.destination,
        reached.campaign,

        -- the firing
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
