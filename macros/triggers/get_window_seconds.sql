{% macro get_window_seconds() %}
    {# How far back from now any trigger looks, a visit that is longer aside. #}
    {% set reaches = [get_event_reaches().values() | max] %}
    {% for which in ['reach', 'visits_reach', 'activity_reach'] %}
        {% do reaches.append(get_reach_seconds(which)) %}
    {% endfor %}
    {{ return(reaches | max) }}
{% endmacro %}
