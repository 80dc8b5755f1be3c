{% macro get_passive_event_problems() %}
    {# An event that stands there twice would double every such event in the working set. #}
    {% set problems = [] %}
    {% set seen = [] %}
    {% for row in get_seed_rows('passive_events') %}
        {% set name = row['event_name'] or '' %}
        {% set where = 'seeds/passive_events.csv, row ' ~ name ~ ': ' %}
        {% if not name or name != name | lower or name != name | trim or ' ' in name or '-' in name %}
            {% do problems.append(where ~ "'" ~ name ~ "' is not an event name in snake case, such as order_shipped") %}
        {% elif name in seen %}
            {% do problems.append(where ~ 'stands there twice') %}
        {% endif %}
        {% do seen.append(name) %}
    {% endfor %}
    {{ return(problems) }}
{% endmacro %}
