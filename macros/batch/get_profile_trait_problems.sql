{% macro get_profile_trait_problems() %}
    {# A trait or a kind that stands there twice would leave open which value is the address. #}
    {% set problems = [] %}
    {% set traits = [] %}
    {% set kinds = [] %}
    {% for row in get_seed_rows('profile_traits') %}
        {% set where = 'seeds/profile_traits.csv, row ' ~ (row['trait_name'] or '') ~ ': ' %}
        {% if not row['trait_name'] %}
            {% do problems.append(where ~ 'trait_name is needed') %}
        {% elif row['trait_name'] in traits %}
            {% do problems.append(where ~ 'stands there twice') %}
        {% endif %}
        {% set problem = get_value_problem(row['kind'], 'word') %}
        {% if problem %}
            {% do problems.append(where ~ 'kind ' ~ problem) %}
        {% elif row['kind'] == 'user_id' %}
            {% do problems.append(where ~ "kind 'user_id' is what every user has; name the id of a platform") %}
        {% elif row['kind'] in kinds %}
            {% do problems.append(where ~ "kind '" ~ row['kind'] ~ "' stands there twice") %}
        {% endif %}
        {% do traits.append(row['trait_name']) %}
        {% do kinds.append(row['kind']) %}
    {% endfor %}
    {{ return(problems) }}
{% endmacro %}
