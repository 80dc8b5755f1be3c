{% macro get_trigger_problems() %}
    {% set file = 'seeds/triggers.csv' %}
    {% set triggers = get_trigger_models() %}
    {% set campaigns = get_seed_rows('campaigns') | map(attribute='campaign') | list %}
    {% set problems = [] %}
    {% set seen = [] %}
    {% for row in get_seed_rows('triggers') %}
        {% set where = file ~ ', row ' ~ row['trigger_name'] ~ ': ' %}
        {% if row['trigger_name'] not in triggers %}
            {% do problems.append(where ~ "there is no trigger '" ~ row['trigger_name'] ~ "'; there are " ~ triggers.keys() | sort | join(', ')) %}
        {% elif row['trigger_name'] in seen %}
            {% do problems.append(where ~ 'stands there twice') %}
        {% endif %}
        {% do seen.append(row['trigger_name']) %}
        {% for column, kind in [('is_enabled', 'boolean'), ('priority', 'count'), ('cooldown_seconds', 'seconds_or_zero'), ('max_age_seconds', 'seconds')] %}
            {% set problem = get_value_problem(row[column], kind) %}
            {% if problem %}{% do problems.append(where ~ column ~ ' ' ~ problem) %}{% endif %}
        {% endfor %}
        {% if row['campaign'] and row['campaign'] not in campaigns %}
            {% do problems.append(where ~ "campaign '" ~ row['campaign'] ~ "' is not in seeds/campaigns.csv") %}
        {% endif %}
    {% endfor %}
    {% for name in triggers if name not in seen %}
        {% do problems.append(file ~ ': a row is missing: ' ~ name ~ ',true,<priority>,<cooldown_seconds>,<max_age_seconds>,<campaign>') %}
    {% endfor %}
    {% for name in triggers if name not in var('triggers') %}
        {% do problems.append("dbt_project/dbt_project.yml, vars.triggers: '" ~ name ~ "' is missing, so trigger_matches would not read trg_" ~ name) %}
    {% endfor %}
    {{ return(problems) }}
{% endmacro %}
