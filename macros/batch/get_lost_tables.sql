{% macro get_lost_tables() %}
    {# Tables that hold history and are not there although builds were finished: somebody dropped them. #}
    {% set lost = [] %}
    {% if execute %}
        {% for node in graph.nodes.values() %}
            {% if node.resource_type == 'model' and node.package_name == project_name
                and node.config.materialized == 'incremental' and node.config.full_refresh is not false
                and not adapter.get_relation(target.database, node.schema, node.alias) %}
                {% do lost.append(node.name) %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {{ return(lost | sort) }}
{% endmacro %}
