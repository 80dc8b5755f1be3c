{% macro get_campaign_problems() %}
    {% set problems = [] %}
    {% set seen = [] %}
    {% for row in get_seed_rows('campaigns') %}
        {% set where = 'seeds/campaigns.csv, row ' ~ row['campaign'] ~ ': ' %}
        {% if not row['campaign'] or not row['destination'] %}
            {% do problems.append(where ~ 'campaign and destination are both needed') %}
        {% endif %}
        {% if (row['campaign'], row['destination']) in seen %}
            {% do problems.append(where ~ 'stands there twice with destination ' ~ row['destination']) %}
        {% endif %}
        {% do seen.append((row['campaign'], row['destination'])) %}
        {% set problem = get_value_problem(row['is_enabled'], 'boolean') %}
        {% if problem %}{% do problems.append(where ~ 'is_enabled ' ~ problem) %}{% endif %}
        {% set problem = get_value_problem(row['action'], 'word') if row.get('action') else none %}
        {% if problem %}{% do problems.append(where ~ 'action ' ~ problem) %}{% endif %}
    {% endfor %}
    {{ return(problems) }}
{% endmacro %}
