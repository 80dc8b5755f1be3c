-- For each affected user the moment before which nothing changed. Users of unfinished builds stay affected, since
-- such a build may have rewritten some of their rows already.
{% set limits = get_limits() %}
{% set unfinished = get_previous_relation('int_batch__affected_users', 'batches') if not limits['is_full'] else none %}
{% set visits = get_previous_relation('int_visits', 'behavior') if not limits['is_full'] else none %}
{% set no_visits = "(select '' as user_id, timestamp '0001-01-01' as visit_started_at, "
    ~ "timestamp '0001-01-01' as visit_ended_at where false)" %}
{% set reach = get_reach_seconds() %}
{% set named_reach = get_event_reaches().values() | max %}

with changed as (
    select
        coalesce(changes.known_user_id, devices.user_id) as user_id,
        changes.changed_from,
        changes.is_replaced
    from {{ ref('int_batch__changes') }} as changes
    left join {{ ref('int_batch__devices') }} as devices
        on changes.anonymous_id = devices.anonymous_id and changes.known_user_id is null
),

-- A device that changes hands takes its anonymous events along, from the first one on. If it had no user, that was all.
moved as (
    select
        old_user_id,
        user_id,
        first_anonymous_at as changed_from
    from {{ ref('int_batch__devices') }}
    where old_user_id <> user_id and first_anonymous_at is not null
),

hits as (
    select user_id, changed_from, is_replaced as has_lost from changed
    union all
    select old_user_id, changed_from, old_user_id not like 'anon:%' from moved
    union all
    select user_id, changed_from, false from moved
    {% if unfinished %}
    union all
    select earlier.user_id, earlier.changed_from, false
    from {{ unfinished }} as earlier
    where
        not exists (
            select 1
            from {{ source('batches', 'finished_builds') }} as finished
            where finished.build_id = earlier.build_id
        )
    {% endif %}
),

hit_users as (
    select
        user_id,
        min(changed_from) as changed_from,
        bool_or(has_lost) as has_lost
    from hits
    group by user_id
),

-- Who lost events may be left with the visit before them as the last one: that is computed anew too.
left_visits as (
    select
        hit_users.user_id,
        max(visits.visit_started_at) as visit_started_at
    from hit_users
    inner join {{ visits or no_visits }} as visits
        on hit_users.user_id = visits.user_id and visits.visit_started_at < hit_users.changed_from
    where hit_users.has_lost
    group by hit_users.user_id
),

affected as (
    select
        hit_users.user_id,
        least(hit_users.changed_from, left_visits.visit_started_at) as changed_from
    from hit_users
    left join left_visits on hit_users.user_id = left_visits.user_id
),

-- A visit that the boundary would cut is read from its start.
cut_visits as (
    select
        affected.user_id,
        min(visits.visit_started_at) as visit_started_at
    from affected
    inner join {{ visits or no_visits }} as visits
        on affected.user_id = visits.user_id
        and visits.visit_started_at <= affected.changed_from - interval '{{ reach }} seconds'
        and visits.visit_ended_at >= affected.changed_from - interval '{{ reach }} seconds' - interval '30 minutes'
    group by affected.user_id
),

bounded as (
    select
        affected.user_id,
        affected.changed_from,
        coalesce(
            cut_visits.visit_started_at, affected.changed_from - interval '{{ reach }} seconds'
        ) as read_from,
        max(affected.changed_from) over () - interval '{{ reach }} seconds' as newest_read_from
    from affected
    left join cut_visits on affected.user_id = cut_visits.user_id
),

final as (
    select
        user_id,
        changed_from,
        read_from,
        changed_from - interval '{{ named_reach }} seconds' as named_from,
        -- The few that are late are read in passes of their own, so that they do not widen the scan for all.
        case
            when {{ limits['is_full'] }} or read_from >= newest_read_from - interval '2 hours' then 'on time'
            when read_from >= newest_read_from - interval '2 days' then 'late'
            else 'very late'
        end as lateness,
        '{{ invocation_id }}' as build_id
    from bounded
)

select * from final
