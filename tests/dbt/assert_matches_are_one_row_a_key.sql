-- (trigger_name, user_id, matched_at) is the key of trigger_matches; only affected users' rows were written.
select
    matches.trigger_name,
    matches.user_id,
    matches.matched_at,
    count(*) as copies
from {{ ref('trigger_matches') }} as matches
where matches.user_id in (select affected.user_id from {{ ref('int_batch__affected_users') }} as affected)
group by matches.trigger_name, matches.user_id, matches.matched_at
having count(*) > 1
