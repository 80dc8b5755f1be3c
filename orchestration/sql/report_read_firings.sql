select
    *,
from stories
order by trigger_name, matched_at desc, user_id
