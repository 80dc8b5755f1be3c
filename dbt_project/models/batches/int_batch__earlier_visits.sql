-- How the affected users' earlier visits ended, as far back as an absence rule can reach: what stands before the
-- working set, from the small table of visits instead of the events. A visit that ended before read_from cannot
-- have changed.
{% set limits = get_limits() %}
{% set visits = get_previous_relation('int_visits', 'behavior') if not limits['is_full'] else none %}
{% set reach = get_reach_seconds('activity_reach') %}

{% if visits %}

with final as (
    select
        visits.user_id,
        {{ microseconds_of('visits.visit_ended_at') }} as visit_ended_us,
        visits.last_event_key,
        visits.last_event_linked_anonymous_id,
        affected.changed_from
    from {{ visits }} as visits
    inner join {{ ref('int_batch__affected_users') }} as affected on visits.user_id = affected.user_id
    where
        visits.visit_ended_at < affected.read_from
        and visits.visit_ended_at >= affected.changed_from - interval '{{ reach }} seconds'
)

select * from final
{% else %}
select
    affected.user_id,
    cast(null as bigint) as visit_ended_us,
    cast(null as varchar) as last_event_key,
    cast(null as varchar) as last_event_linked_anonymous_id,
    affected.changed_from
from {{ ref('int_batch__affected_users') }} as affected
where false
{% endif %}
