{% macro get_reach_of(trigger_name, terms, rows) %}
    {# Seconds: the sum of a trigger's terms, {seconds: n} or {of: parameter, times: n, at_most: n}. #}
    {% set thresholds = {} %}
    {% for row in rows if row['trigger_name'] == trigger_name %}
        {% do thresholds.update({row['parameter']: row['value']}) %}
    {% endfor %}
    {% set seconds = [0] %}
    {% for term in terms %}
        {% if 'seconds' in term %}
            {% do seconds.append(term['seconds']) %}
        {% else %}
            {% set value = thresholds[term['of']] | int * term.get('times', 1) %}
            {% do seconds.append([value, term['at_most']] | min if 'at_most' in term else value) %}
        {% endif %}
    {% endfor %}
    {{ return(seconds | sum) }}
{% endmacro %}
