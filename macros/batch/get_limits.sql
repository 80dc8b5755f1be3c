{% macro get_limits() %}
    {# The bounds that this build fixed, as literals: plain constants are what lets DuckDB skip row groups. #}
    {% set relation = ref('int_batch__limits') %}
    {% if execute and relation.database and adapter.get_relation(relation.database, relation.schema, relation.identifier) %}
        {% set table = run_query(
            "select done_batch_id, upto_batch_id, clock_at, is_full, build_id, prior_watermark_at from " ~ relation
        ) %}
        {% if table.rows | length == 1 %}
            {{ return(dict(zip(table.column_names, table.rows[0].values()))) }}
        {% endif %}
    {% endif %}
    {{ return({
        'done_batch_id': -1, 'upto_batch_id': -1, 'clock_at': none, 'is_full': true, 'build_id': '',
        'prior_watermark_at': none,
    }) }}
{% endmacro %}
