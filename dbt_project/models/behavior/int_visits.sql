{{ config(
    materialized='incremental',
    incremental_strategy='swap',
    swap_on="target.visit_ended_at >= affected.changed_from - interval '30 minutes'",
    swap_time='visit_ended_at'
) }}
-- depends_on: {{ ref('int_batch__affected_users') }} {{ ref('int_batch__limits') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
-- A visit that ended up to 30 minutes before the first change may have gone on. In the order of time, so that a plain
-- bound on it skips row groups.
select
    user_id,
    visit_started_at,
    visit_ended_at,
    local_day,
    events,
    first_event_key,
    first_event_linked_anonymous_id,
    last_event_key,
    last_event_linked_anonymous_id
from {{ ref('int_batch__visits') }}
where visit_ended_at >= changed_from - interval '30 minutes'
order by visit_started_at, user_id
