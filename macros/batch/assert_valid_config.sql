{% macro assert_valid_config() %}
    {# Refuses wrong seed rows before any model is built, and names them all. #}
    {% if execute %}
        {% set problems = get_threshold_problems() + get_trigger_problems() + get_campaign_problems() + get_setting_problems() %}
        {% if problems %}
            {{ exceptions.raise_compiler_error(
                "Nothing was built: " ~ problems | length ~ " problem(s) in the configuration.\n  - " ~ problems | join("\n  - ")
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}

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
    {% endfor %}
    {{ return(problems) }}
{% endmacro %}

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

{% macro get_value_problem(value, kind) %}
    {# What is wrong with a seed's value, or none. Whole numbers have at most nine digits: 31 years of seconds. #}
    {% set text = value if value is not none else '' %}
    {% set patterns = {
        'seconds': ('[1-9][0-9]{0,8}', 'a whole number of seconds above 0'),
        'seconds_or_zero': ('0|[1-9][0-9]{0,8}', 'a whole number of seconds, 0 or more'),
        'count': ('[1-9][0-9]{0,8}', 'a whole number above 0'),
        'amount': ('[0-9]{1,12}([.][0-9]{1,4})?', 'an amount of 0 or more with at most four decimals'),
        'list': ("[^']*", 'a list separated by |, without quotes'),
        'boolean': ('true|false', 'true or false'),
        'word': ('[A-Za-z0-9_ -]+', 'a word of letters, digits, space, _ and -'),
        'timezone': ('[A-Za-z0-9_/+-]+', 'a time zone such as Europe/Berlin'),
    } %}
    {% if not modules.re.fullmatch(patterns[kind][0], text) %}
        {{ return("'" ~ text ~ "' is not " ~ patterns[kind][1]) }}
    {% endif %}
    {% if kind == 'timezone' and run_query("select count(*) from pg_timezone_names() where name = '" ~ text ~ "'").rows[0][0] == 0 %}
        {{ return("'" ~ text ~ "' is not a time zone that the warehouse knows, such as Europe/Berlin") }}
    {% endif %}
    {{ return(none) }}
{% endmacro %}
