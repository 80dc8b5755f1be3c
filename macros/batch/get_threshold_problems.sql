{% macro get_threshold_problems() %}
    {% set file = 'seeds/trigger_thresholds.csv' %}
    {% set triggers = get_trigger_models() %}
    {% set problems = [] %}
    {% set seen = [] %}
    {% for row in get_seed_rows('trigger_thresholds') %}
        {% set where = file ~ ', row ' ~ row['trigger_name'] ~ ',' ~ row['variant'] ~ ',' ~ row['parameter'] ~ ': ' %}
        {% set key = (row['trigger_name'], row['variant'], row['parameter']) %}
        {% if row['trigger_name'] not in triggers %}
            {% do problems.append(where ~ "there is no trigger '" ~ row['trigger_name'] ~ "'; there are " ~ triggers.keys() | sort | join(', ')) %}
        {% elif row['parameter'] not in triggers[row['trigger_name']].get('parameters', {}) %}
            {% do problems.append(where ~ "the trigger has no parameter '" ~ row['parameter'] ~ "'; it has " ~ triggers[row['trigger_name']].get('parameters', {}).keys() | join(', ')) %}
        {% elif row['variant'] != 'default' %}
            {% do problems.append(where ~ "the only variant there is so far is 'default'") %}
        {% elif key in seen %}
            {% do problems.append(where ~ 'stands there twice') %}
        {% else %}
            {% set problem = get_value_problem(row['value'], triggers[row['trigger_name']]['parameters'][row['parameter']]) %}
            {% if problem %}{% do problems.append(where ~ problem) %}{% endif %}
        {% endif %}
        {% do seen.append(key) %}
    {% endfor %}
    {% for name, meta in triggers.items() %}
        {% for parameter in meta.get('parameters', {}) if (name, 'default', parameter) not in seen %}
            {% do problems.append(file ~ ': a row is missing: ' ~ name ~ ',default,' ~ parameter ~ ',<value>,<unit>,<description>') %}
        {% endfor %}
    {% endfor %}
    {{ return(problems) }}
{% endmacro %}
