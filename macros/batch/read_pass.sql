{% macro read_pass(name, upto, from_time, lateness, condition) %}
    {#
        The events that an SQL `condition` over `events` and `affected` asks for, with the columns of the CTE
        `identities` that go along. Found by narrow columns first and then read; what only shares the hash is sorted
        out where the ids are read. `case` keeps that out of the join's key: with text in it, DuckDB reads every row
        instead of those that a filter on event_seq lets through.
    #}
    {{ name }}_found as (
        select
            events.event_seq,
            affected.identity_id,
            affected.user_id,
            affected.user_number,
            affected.changed_from,
            events.occurred_at >= affected.read_from as is_read_whole
        from {{ source('raw', 'events') }} as events
        inner join identities as affected on events.identity_hash = affected.identity_hash
        where
            not events.is_duplicate
            and events.batch_id <= {{ upto }}
            {% if from_time is not none %}
            and events.occurred_at >= timestamp '{{ from_time }}'
            {% else %}
            and false
            {% endif %}
            and affected.lateness = '{{ lateness }}'
            and ({{ condition }})
    ),

    {{ name }} as (
        select
            events.*,
            found.user_id,
            found.user_number,
            found.changed_from,
            found.is_read_whole
        from {{ source('raw', 'events') }} as events
        inner join {{ name }}_found as found on events.event_seq = found.event_seq
        where
            case when coalesce(events.known_user_id, 'anon:' || events.anonymous_id) = found.identity_id then true end
            {% if from_time is not none %}
            and events.occurred_at >= timestamp '{{ from_time }}'
            {% endif %}
    ),
{% endmacro %}
