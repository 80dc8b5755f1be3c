-- In a batch nothing but the affected users' matches changed; the flags of all are looked at in a full refresh.
{% set limits = get_limits() %}

select
    flags.user_id,
    flags.trigger_name
from {{ ref('user_trigger_flags') }} as flags
where
    (flags.is_flagged is null or flags.flagged_since is null or flags.user_id is null or flags.trigger_name is null)
    {%- if not limits['is_full'] %}
    and flags.user_id in (select affected.user_id from {{ ref('int_batch__affected_users') }} as affected)
    {%- endif %}
