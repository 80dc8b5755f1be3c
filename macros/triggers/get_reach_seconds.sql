{% macro get_reach_seconds(which='reach') %}
    {#
        How far before the first changed event a match can depend on, in seconds: the largest over the triggers.
        Each trigger states its own in its YAML as a sum of terms: {seconds: n}, or {of: parameter, times: n, at_most: n}.
        `reach` bounds the working set, `activity_reach` the earlier visits that an absence rule looks at.
    #}
    {% set rows = get_seed_rows('trigger_thresholds') %}
    {% set sums = [0] %}
    {% for name, meta in get_trigger_models().items() %}
        {% set thresholds = {} %}
        {% for row in rows if row['trigger_name'] == name %}
            {% do thresholds.update({row['parameter']: row['value']}) %}
        {% endfor %}
        {% set terms = [0] %}
        {% for term in meta.get(which, []) %}
            {% if 'seconds' in term %}
                {% do terms.append(term['seconds']) %}
            {% else %}
                {% set value = thresholds[term['of']] | int * term.get('times', 1) %}
                {% do terms.append([value, term['at_most']] | min if 'at_most' in term else value) %}
            {% endif %}
        {% endfor %}
        {% do sums.append(terms | sum) %}
    {% endfor %}
    {{ return(sums | max) }}
{% endmacro %}
