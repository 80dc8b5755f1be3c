{% macro found_events(upto, from_time, lateness, condition) %}
    {#
        Whose the events are that an SQL `condition` over `events` and `affected` asks for: event_seq and the columns
        of the CTE `affected` that go along. By the users whom they name and by the CTE `devices`, in two plain joins:
        joined to the pair of ids in one expression, DuckDB reads every row of history.
    #}
    {% for identity in ['known_user_id', 'anonymous_id'] %}
    select
        events.event_seq,
        affected.user_id,
        affected.user_number,
        affected.changed_from,
        events.occurred_at >= affected.read_from as is_read_whole
    from {{ source('raw', 'events') }} as events
    {% if identity == 'known_user_id' %}
    inner join affected on events.known_user_id = affected.user_id
    {% else %}
    inner join devices on events.anonymous_id = devices.anonymous_id
    inner join affected on devices.user_id = affected.user_id
    {% endif %}
    where
        not events.is_duplicate
        and events.batch_id <= {{ upto }}
        {% if identity == 'anonymous_id' %}
        and events.known_user_id is null
        {% endif %}
        {% if from_time is not none %}
        and events.occurred_at >= timestamp '{{ from_time }}'
        {% else %}
        and false
        {% endif %}
        and affected.lateness = '{{ lateness }}'
        and ({{ condition }})
    {{ 'union all' if not loop.last }}
    {% endfor %}
{% endmacro %}
