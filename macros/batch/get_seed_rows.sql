{% macro get_seed_rows(seed_name) %}
    {# Called while a model is compiled; the ref makes dbt load the seed first. #}
    {% set relation = ref(seed_name) %}
    {% if not execute %}
        {{ return([]) }}
    {% endif %}
    {% if not adapter.get_relation(relation.database, relation.schema, relation.identifier) %}
        {{ exceptions.raise_compiler_error(
            "The seed " ~ seed_name ~ " is not in the warehouse yet.\n  Run `dbt seed`, or `dbt build`, which begins with it."
        ) }}
    {% endif %}
    {% set table = run_query("select * from " ~ relation) %}
    {% set rows = [] %}
    {% for row in table.rows %}
        {% do rows.append(dict(zip(table.column_names, row.values()))) %}
    {% endfor %}
    {{ return(rows) }}
{% endmacro %}
