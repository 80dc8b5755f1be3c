-- What is to be done with each chosen row, as things stand at this moment: is the match still there, may the user still
-- be told, is there an address, is it not too late. Parameters: $give_up_seconds (null: the trigger's greatest age);
-- {bound}: as in push_due; only a condition that is written out keeps other rows of the outbox from being read.
create or replace temp table push_claim as

with

chosen as (select * from push_chosen),

outbox as (
    select *
    from push_outbox
    where {bound}
),

refusals as (
    select user_id
    from behavior.int_consents
    where user_id in (select outbox.user_id from outbox)
    group by user_id
    having not arg_max(is_granted, said_at)
    union
    select user_id
    from config.suppressed_users
),

-- How long it has been tried, and what the platform said last. A person's word begins a new count.
tried as (
    select
        deliveries.idempotency_key,
        max(deliveries.recorded_at) filter (where deliveries.status = 'requeued') as requeued_at,
        min(deliveries.recorded_at) as first_tried_at,
        arg_max(deliveries.answer, deliveries.delivery_seq) as last_answer,
    from triggers.campaign_deliveries as deliveries
    where deliveries.idempotency_key in (select chosen.idempotency_key from chosen where chosen.attempts > 0)
    group by deliveries.idempotency_key
),

latest_batch as (
    select coalesce(arg_max(is_replay, batch_id), false) as is_replay
    from raw.load_batches
),

ages as (
    select
        outbox.*,
        chosen.policy,
        chosen.is_in_doubt,
        chosen.is_history,
        tried.last_answer,
        terms.needs,
        refusals.user_id is not null as is_refused,
        len(coalesce(terms.needs, [])) = 0 or list_has_any(terms.needs, outbox.address_kinds) as is_addressed,
        date_diff('second', coalesce(tried.requeued_at, tried.first_tried_at), push_moment.now_at) as tried_seconds,
        coalesce(
            $give_up_seconds::bigint, date_diff('second', outbox.decided_at, outbox.address_deadline_at)
        ) as give_up_seconds,
        -- In a replay the clock is the data's, and a push after it would find every row too old.
        outbox.is_address_overdue
        and not latest_batch.is_replay
        and outbox.delivery_status is null
        and $give_up_seconds is null as is_too_late,
    from chosen
    inner join outbox on chosen.outbox_seq = outbox.outbox_seq
    cross join push_moment
    cross join latest_batch
    left join push_terms as terms on chosen.destination = terms.destination
    left join tried on chosen.idempotency_key = tried.idempotency_key
    left join refusals on outbox.user_id = refusals.user_id
),

final as (
    select
        *,
        case
            when is_in_doubt and policy = 'hold' then 'hold'
            when is_in_doubt and policy = 'reconcile' then 'reconcile'
            when not is_match_present then 'cancel'
            when is_refused then 'withdraw'
            when is_history and is_addressed then 'send'
            when is_too_late then 'expire'
            when delivery_status in ('failed', 'unknown', 'claimed') and tried_seconds > give_up_seconds then 'give_up'
            when is_addressed then 'send'
            when is_address_overdue then 'no_address'
            else 'wait'
        end as verdict,
    from ages
)

select * from final
