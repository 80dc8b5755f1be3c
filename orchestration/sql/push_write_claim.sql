-- Writes down what is about to be done, before it is done. Parameters: $is_dry_run.
insert into triggers.campaign_deliveries (
    delivery_seq, idempotency_key, decision_id, destination, campaign, trigger_name, user_id,
    status, attempt, push_id, recorded_at, answer, address_hash
)

with

push_claim as (select * from push_claim),

last_delivery as (
    select coalesce(max(delivery_seq), 0) as delivery_seq
    from triggers.campaign_deliveries
),

doubts as (
    select
        *,
        case when is_in_doubt then '; whether an earlier attempt arrived is not known' else '' end as doubt,
    from push_claim
),

final as (
    select
        last_delivery.delivery_seq + row_number() over (order by doubts.outbox_seq) as delivery_seq,
        doubts.idempotency_key,
        doubts.decision_id,
        doubts.destination,
        doubts.campaign,
        doubts.trigger_name,
        doubts.user_id,
        case
            when doubts.verdict = 'hold' then 'held'
            when doubts.verdict in ('cancel', 'withdraw') then 'cancelled'
            when doubts.verdict in ('expire', 'give_up', 'no_address') then 'rejected'
            when doubts.verdict = 'wait' then 'waiting_for_address'
            when $is_dry_run then 'dry_run'
            else 'claimed'
        end as status,
        doubts.attempts + 1 as attempt,
        push_moment.push_id,
        push_moment.now_at as recorded_at,
        case doubts.verdict
            when 'hold' then 'in doubt, waits for a person: ' || coalesce(doubts.last_answer, 'the push was killed')
            when 'cancel' then 'the match is gone' || doubts.doubt
            when 'withdraw' then 'the user may not be told any more' || doubts.doubt
            when 'expire' then 'too old before it could be sent'
            when 'give_up'
                then
                    'given up after ' || doubts.tried_seconds || ' s: ' || coalesce(doubts.last_answer, '')
                    || doubts.doubt
            when 'no_address' then 'no address became known in time: needs ' || array_to_string(doubts.needs, ' or ')
            when 'wait' then 'needs ' || array_to_string(doubts.needs, ' or ')
        end as answer,
        doubts.address_hash,
    from doubts
    cross join push_moment
    cross join last_delivery
)

select * from final
