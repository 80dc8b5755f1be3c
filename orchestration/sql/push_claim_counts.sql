-- What the claim came to.
select
    case
        when verdict = 'cancel' then 'cancelled'
        when $is_dry_run then 'dry_run'
        else 'claimed'
    end as status,
    count(*) as row_count,
from push_due
group by status
order by status
