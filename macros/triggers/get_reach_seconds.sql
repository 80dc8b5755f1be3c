{% macro get_reach_seconds(which='reach') %}
    {#
        How far before the first changed event a match can depend on, in seconds: the largest over the triggers.
        `reach` bounds the part of the working set that is read whole; triggers that name the events they reach back
        for (`reach_events`) are left to get_event_reaches. `visits_reach` bounds the earlier visits that a rule
        counts, `activity_reach` the one from which an absence counts.
    #}
    {% set rows = get_seed_rows('trigger_thresholds') %}
    {% set seconds = [0] %}
    {% for name, meta in get_trigger_models().items() if which != 'reach' or 'reach_events' not in meta %}
        {% do seconds.append(get_reach_of(name, meta.get(which, []), rows)) %}
    {% endfor %}
    {{ return(seconds | max) }}
{% endmacro %}
