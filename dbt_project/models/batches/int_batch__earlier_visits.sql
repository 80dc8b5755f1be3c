-- The affected users' earlier visits that a rule can look at: those of the last local day or so, and the one before
-- read_from, from which a long absence counts. They stand in the small table of visits, so that the events need not be
-- read; one that ended before read_from cannot have changed.
{% set limits = get_limits() %}
{% set visits = get_previous_relation('int_visits', 'behavior') if not limits['is_full'] else none %}
{% set day_reach = get_reach_seconds('visits_reach') %}
{% set earliest_reach = [day_reach, get_reach_seconds('activity_reach')] | max %}
{% set first_change = get_scan_bounds()['first_change'] %}

{% if visits %}

-- By their times first, for what else a visit holds is wide. The plain bound lets DuckDB skip row groups.
{% set bound = "true" if not first_change else
    "visits.visit_ended_at >= timestamp '" ~ first_change ~ "' - interval '" ~ earliest_reach ~ " seconds'" %}
with found as (
    select
        visits.rowid as place,
        visits.visit_ended_at,
        affected.changed_from,
        row_number() over (partition by affected.user_id order by visits.visit_started_at desc) as nth_before
    from {{ visits }} as visits
    inner join {{ ref('int_batch__affected_users') }} as affected on visits.user_id = affected.user_id
    where
        visits.visit_ended_at < affected.read_from
        and visits.visit_ended_at >= affected.changed_from - interval '{{ earliest_reach }} seconds'
        and {{ bound }}
),

-- From a visit with another one after it an absence begins before changed_from, or not at all.
chosen as (
    select
        place,
        changed_from
    from found
    where nth_before = 1 or visit_ended_at >= changed_from - interval '{{ day_reach }} seconds'
),

final as (
    select
        visits.user_id,
        visits.local_day,
        {{ microseconds_of('visits.visit_started_at') }} as visit_started_us,
        visits.first_event_key,
        visits.first_event_linked_anonymous_id,
        {{ microseconds_of('visits.visit_ended_at') }} as visit_ended_us,
        visits.last_event_key,
        visits.last_event_linked_anonymous_id,
        chosen.changed_from
    from {{ visits }} as visits
    inner join chosen on visits.rowid = chosen.place
    where {{ bound }}
)

select * from final
{% else %}
select
    affected.user_id,
    cast(null as date) as local_day,
    cast(null as bigint) as visit_started_us,
    cast(null as varchar) as first_event_key,
    cast(null as varchar) as first_event_linked_anonymous_id,
    cast(null as bigint) as visit_ended_us,
    cast(null as varchar) as last_event_key,
    cast(null as varchar) as last_event_linked_anonymous_id,
    affected.changed_from
from {{ ref('int_batch__affected_users') }} as affected
where false
{% endif %}
