-- What may be sent now, and what is to be done with it. Only the holder of the push lock runs this for a claim, so
-- a `claimed` row of another push belongs to a process that is dead. Nothing is held that this push has touched.
-- Parameters: $now; $push_id; $destination (null: all); $holding, $reconciling: destinations by crash policy;
-- $max_rows (null: all).
create or replace temp table push_due as

with

outbox as (select * from triggers.campaign_outbox),

deliveries as (select * from triggers.campaign_deliveries),

this_push as (
    select distinct idempotency_key
    from deliveries
    where push_id = $push_id
),

due as (
    select
        outbox.*,
        coalesce(outbox.delivery_status in ('claimed', 'unknown'), false) as is_in_doubt,
    from outbox
    anti join this_push on outbox.idempotency_key = this_push.idempotency_key
    where
        ($destination is null or outbox.destination = $destination)
        and (
            outbox.delivery_status is null
            or outbox.delivery_status = 'claimed'
            or coalesce(outbox.retry_at <= $now::timestamp, true)
        )
),

actions as (
    select
        *,
        case
            when is_in_doubt and list_contains($reconciling::varchar[], destination) then 'reconcile'
            when not is_match_present then 'cancel'
            else 'send'
        end as verdict,
    from due
    where not (is_in_doubt and list_contains($holding::varchar[], destination))
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
        is_in_doubt,
        delivery_status,
        coalesce(attempts, 0) as attempts,
        payload,
        email,
        phone,
        external_ids,
        action,
        platform_ref,
        verdict,
    from actions
    order by decided_at, idempotency_key
    limit $max_rows
)

select * from final
