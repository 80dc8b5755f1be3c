-- Rows of the outbox that the next push would send, oldest first. What is in doubt is left out: its destination's policy
-- settles that. Parameters: $now; $destination; $campaign (null: all); $needs: alternatives to address a user by
-- (empty: the user id); $max_rows.
with

due as (
    select *
    from triggers.campaign_outbox
    where
        destination = $destination
        and ($campaign is null or campaign = $campaign)
        and is_match_present
        and (len($needs::varchar[]) = 0 or list_has_any(address_kinds, $needs::varchar[]))
        and case
            when delivery_status is null then true
            when delivery_status in ('claimed', 'unknown', 'held') then false
            when delivery_status = 'waiting_for_address' then has_new_address and not is_address_overdue
            else coalesce(retry_at <= $now::timestamp, true)
        end
),

final as (
    select
        idempotency_key,
        decision_id,
        destination,
        campaign,
        trigger_name,
        user_id,
        matched_at,
        decided_at,
        is_match_present,
        delivery_status as previous_status,
        attempts + 1 as attempt,
        payload::varchar as payload,
        email,
        phone,
        external_ids::varchar as external_ids,
        action,
        platform_ref,
    from due
    order by outbox_seq
    limit $max_rows
)

select * from final
