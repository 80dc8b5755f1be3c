{% macro get_config_json_sql() %}
    {# An SQL expression: every seed row that decides anything, as one JSON object. #}
    json_object(
        {%- for seed, key in [
            ('trigger_thresholds', 'trigger_name, variant, parameter'), ('triggers', 'trigger_name'),
            ('campaigns', 'campaign, destination'), ('settings', 'setting'), ('passive_events', 'event_name'),
            ('profile_traits', 'trait_name'),
        ] %}
        '{{ seed }}', (select to_json(list({{ seed }} order by {{ key }})) from {{ ref(seed) }}){{ ',' if not loop.last }}
        {%- endfor %}
    )
{% endmacro %}
