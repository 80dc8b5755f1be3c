{% macro get_event_reaches() %}
    {#
        {event name: seconds}: how far before the first changed event a match can depend on events of that name, from
        the triggers that state `reach_events`. What is read so far back are a few names, not all a user did.
    #}
    {% set rows = get_seed_rows('trigger_thresholds') %}
    {# The last word of a UTC day on a trait needs the whole day of the first change. #}
    {% set reaches = {'identify': 86400} %}
    {% for name, meta in get_trigger_models().items() if 'reach_events' in meta %}
        {% set seconds = get_reach_of(name, meta.get('reach', []), rows) %}
        {% for event_name in meta['reach_events'] %}
            {% do reaches.update({event_name: [seconds, reaches.get(event_name, 0)] | max}) %}
        {% endfor %}
    {% endfor %}
    {{ return(reaches) }}
{% endmacro %}
