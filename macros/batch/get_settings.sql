{% macro get_settings() %}
    {% set values = {
        'reporting_timezone': 'UTC', 'allowed_lateness_seconds': '0', 'frequency_cap_firings': '1',
        'frequency_cap_period_seconds': '1', 'consent_category': 'marketing',
    } %}
    {% for row in get_seed_rows('settings') %}
        {% do values.update({row['setting']: row['value']}) %}
    {% endfor %}
    {{ return(values) }}
{% endmacro %}
