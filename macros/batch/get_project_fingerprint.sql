{% macro get_project_fingerprint() %}
    {# A fingerprint of every model's text: what a view selects from is among them. #}
    {% set texts = [] %}
    {% if execute %}
    {% for node in graph.nodes.values() | sort(attribute='unique_id') if node.resource_type in ('model', 'seed') %}
        {% do texts.append(node.unique_id ~ (node.raw_code or '') ~ node.columns.keys() | join(',')) %}
    {% endfor %}
    {% endif %}
    {{ return(local_md5(texts | join('\n'))) }}
{% endmacro %}
