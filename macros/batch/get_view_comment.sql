{% macro get_view_comment(relation) %}
    {# The comment on a view; none where it has none. #}
    {% set rows = run_query(
        "select comment from duckdb_views() where database_name = '" ~ relation.database ~ "' and schema_name = '"
        ~ relation.schema ~ "' and view_name = '" ~ relation.identifier ~ "'"
    ).rows %}
    {{ return(rows[0][0] if rows | length == 1 else none) }}
{% endmacro %}
