-- What may be dealt with now. Only the holder of the push lock claims, so a `claimed` row of another push belongs to a
-- process that is dead. Nothing is due twice in one push, and nothing of a destination whose circuit breaker is open.
-- The small sides are tables, so that the backlog, however long, is read once and stopped early where that can be.
-- {bound}: a condition on outbox_seq, written out, or `true`.

create or replace temp table push_touched as
select distinct deliveries.idempotency_key
from triggers.campaign_deliveries as deliveries
cross join push_moment
where deliveries.delivery_seq > push_moment.from_seq and deliveries.push_id = push_moment.push_id;

-- Rows that wait for an address, once there is something to be done about them.
create or replace temp table push_woken as
select outbox_seq
from push_outbox
where
    {bound}
    and delivery_status = 'waiting_for_address'
    and (has_new_address or is_address_overdue or not is_match_present);

create or replace temp view push_due as

with

push_backlog as (select * from push_backlog),

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
    from push_backlog as backlog
    left join push_terms as terms on backlog.destination = terms.destination
    where
        {bound}
        and case
            when backlog.delivery_status is null or backlog.delivery_status in ('claimed', 'requeued') then true
            when backlog.delivery_status = 'waiting_for_address'
                then backlog.outbox_seq in (select outbox_seq from push_woken)
            else coalesce(backlog.retry_at <= (select now_at from push_moment), true)
        end
        and not coalesce(terms.is_open, false)
        and (not backlog.is_history or coalesce(terms.has_history, false))
        and not exists (
            select 1
            from push_touched
            where push_touched.idempotency_key = backlog.idempotency_key
        )
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
    where not (delivery_status is not distinct from 'held' and policy = 'hold')
)

select * from final
