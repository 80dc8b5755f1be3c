-- What may be dealt with now. Only the holder of the push lock claims, so a `claimed` row of another push belongs to a
-- process that is dead. Nothing is due twice in one push, and nothing of a destination whose circuit breaker is open.
create or replace temp view push_due as

with

push_backlog as (select * from push_backlog),

push_terms as (select * from push_terms),

push_moment as (select * from push_moment),

this_push as (
    select distinct deliveries.idempotency_key
    from triggers.campaign_deliveries as deliveries
    cross join push_moment
    where deliveries.delivery_seq > push_moment.from_seq and deliveries.push_id = push_moment.push_id
),

-- Rows that wait for an address, once there is something to be done about them.
woken as (
    select outbox_seq
    from push_outbox
    where
        delivery_status = 'waiting_for_address'
        and (has_new_address or is_address_overdue or not is_match_present)
),

due as (
    select
        backlog.outbox_seq,
        backlog.idempotency_key,
        backlog.destination,
        backlog.delivery_status,
        backlog.attempts,
        backlog.is_history,
        coalesce(terms.policy, 'resend') as policy,
        coalesce(backlog.delivery_status in ('claimed', 'unknown', 'held'), false) as is_in_doubt,
        case
            when backlog.delivery_status is null or backlog.delivery_status in ('claimed', 'requeued') then true
            when backlog.delivery_status = 'waiting_for_address' then woken.outbox_seq is not null
            else coalesce(backlog.retry_at <= push_moment.now_at, true)
        end as is_due,
    from push_backlog as backlog
    cross join push_moment
    left join push_terms as terms on backlog.destination = terms.destination
    left join woken on backlog.outbox_seq = woken.outbox_seq
    anti join this_push on backlog.idempotency_key = this_push.idempotency_key
    where
        not coalesce(terms.is_open, false)
        and (not backlog.is_history or coalesce(terms.has_history, false))
),

final as (
    select
        outbox_seq,
        idempotency_key,
        destination,
        delivery_status,
        attempts,
        policy,
        is_in_doubt,
        is_history,
    from due
    where
        is_due
        and not (delivery_status is not distinct from 'held' and policy = 'hold')
)

select * from final
