{% macro outbox_rows(open_rows) %}
    {#
        CTEs that end in `final`: the rows of the CTE `open_rows` with all that a destination needs. Joined from the
        left, so that a bound on outbox_seq reaches what they come from, and only those payloads are made.
    #}
{{ reached_rows(open_rows) }}

final as (
    select
        -- key
        reached.outbox_seq,
        reached.idempotency_key,
        reached.decision_id,
        reached.destination,
        reached.campaign,

        -- the firing, or the match where it is history
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
        coalesce(reached.delivery_status = 'waiting_for_address', false)
        and reached.address_hash <> coalesce(reached.tried_address_hash, 'not logged') as has_new_address,

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
{% endmacro %}
