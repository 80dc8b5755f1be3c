{% macro get_trigger_models() %}
    {# Every model of models/triggers, by name: {trigger name: its meta}. #}
    {% set triggers = {} %}
    {% if execute %}
        {% for node in graph.nodes.values() | sort(attribute='name') %}
            {% if node.resource_type == 'model' and node.package_name == project_name and node.name.startswith('trg_') %}
                {% do triggers.update({node.name[4:]: node.config.meta}) %}
            {% endif %}
        {% endfor %}
    {% endif %}
    {{ return(triggers) }}
{% endmacro %}
