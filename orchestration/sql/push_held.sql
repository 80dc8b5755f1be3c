-- Rows in doubt that wait for a person. Parameter: $holding: destinations whose policy is `hold`.
select
    destination,
    count(*) as held_rows,
from triggers.campaign_outbox
where
    delivery_status in ('claimed', 'unknown')
    and list_contains($holding::varchar[], destination)
group by destination
order by destination
