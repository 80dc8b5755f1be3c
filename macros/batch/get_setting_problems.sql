{% macro get_setting_problems() %}
    {% set kinds = {
        'reporting_timezone': 'timezone', 'allowed_lateness_seconds': 'seconds_or_zero', 'frequency_cap_firings': 'count',
        'frequency_cap_period_seconds': 'seconds', 'consent_category': 'word',
    } %}
    {% set problems = [] %}
    {% set seen = [] %}
    {% for row in get_seed_rows('settings') %}
        {% set where = 'seeds/settings.csv, row ' ~ row['setting'] ~ ': ' %}
        {% if row['setting'] not in kinds %}
            {% do problems.append(where ~ "there is no setting '" ~ row['setting'] ~ "'; there are " ~ kinds.keys() | join(', ')) %}
        {% elif row['setting'] in seen %}
            {% do problems.append(where ~ 'stands there twice') %}
        {% else %}
            {% set problem = get_value_problem(row['value'], kinds[row['setting']]) %}
            {% if problem %}{% do problems.append(where ~ problem) %}{% endif %}
        {% endif %}
        {% do seen.append(row['setting']) %}
    {% endfor %}
    {% for setting in kinds if setting not in seen %}
        {% do problems.append('seeds/settings.csv: a row is missing: ' ~ setting ~ ',<value>,<unit>,<description>') %}
    {% endfor %}
    {{ return(problems) }}
{% endmacro %}
