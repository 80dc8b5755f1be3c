-- Rows in doubt that wait for a person.
select
    backlog.destination,
    count(*) as held_rows,
from push_backlog as backlog
inner join push_terms as terms on backlog.destination = terms.destination
where
    backlog.delivery_status in ('claimed', 'unknown', 'held')
    and terms.policy = 'hold'
group by backlog.destination
order by backlog.destination
