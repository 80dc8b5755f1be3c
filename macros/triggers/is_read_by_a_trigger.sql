{% macro is_read_by_a_trigger(column) %}
    {# Whether the column's name stands in the SQL of any trigger. #}
    {% set readers = [] %}
    {% if execute %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.name.startswith('trg_') %}
            {% if modules.re.search('\\b' ~ column ~ '\\b', node.raw_code) %}
                {% do readers.append(node.name) %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {{ return(readers | length > 0) }}
{% endmacro %}
