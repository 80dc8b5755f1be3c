{% macro assert_inputs_are_built_along() %}
    {#
        A model that replaces part of its history takes that part from tables of this build: with those of another
        one it would delete the rows of one build's users and put back another's.
    #}
    {% if execute and flags.WHICH in ('run', 'build') and model.unique_id in graph.nodes %}
        {% set seen = [model.unique_id] %}
        {% set missing = [] %}
        {% for unique_id in seen %}
            {% for needed in graph.nodes[unique_id].depends_on.nodes if needed in graph.nodes and needed not in seen %}
                {% set node = graph.nodes[needed] %}
                {% do seen.append(needed) %}
                {% if node.resource_type == 'model' and node.config.materialized in ('table', 'incremental')
                    and needed not in selected_resources %}
                    {% do missing.append(node.name) %}
                {% endif %}
            {% endfor %}
        {% endfor %}
        {% if missing %}
            {{ exceptions.raise_compiler_error(
                model.name ~ " cannot be built without what it reads, which would be another build's: "
                ~ missing | sort | join(', ') ~ ".\n  Run `dbt build`, or `dbt build --select +" ~ model.name ~ "`."
            ) }}
        {% endif %}
    {% endif %}
{% endmacro %}
