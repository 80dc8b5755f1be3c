-- What the claim came to, as statuses of the log.
select
    deliveries.status,
    count(*) as row_count,
from triggers.campaign_deliveries as deliveries
inner join push_claim on deliveries.idempotency_key = push_claim.idempotency_key
cross join push_moment
where deliveries.push_id = push_moment.push_id and deliveries.delivery_seq > push_moment.from_seq
group by deliveries.status
order by deliveries.status
