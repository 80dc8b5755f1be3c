{% macro get_thresholds(trigger_name, parameters) %}
    {# The seed's values as literals, so that the compiled SQL can be read and run by hand. #}
    {% set values = {} %}
    {% for row in get_seed_rows('trigger_thresholds') if row['trigger_name'] == trigger_name %}
        {% do values.update({row['parameter']: row['value']}) %}
    {% endfor %}
    {% for parameter in parameters if parameter not in values %}
        {% if execute %}
            {{ exceptions.raise_compiler_error(
                "seeds/trigger_thresholds.csv has no row for trigger '" ~ trigger_name ~ "', parameter '" ~ parameter
                ~ "'.\n  Add:  " ~ trigger_name ~ ",default," ~ parameter ~ ",<value>,<unit>,<description>"
            ) }}
        {% endif %}
        {% do values.update({parameter: '1'}) %}
    {% endfor %}
    {{ return(values) }}
{% endmacro %}
