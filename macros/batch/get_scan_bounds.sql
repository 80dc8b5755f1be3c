{% macro get_scan_bounds() %}
    {# From when on the two passes over raw.events read, as text; none where a pass has nobody to read. #}
    {% set relation = ref('int_batch__affected_users') %}
    {% if execute and adapter.get_relation(relation.database, relation.schema, relation.identifier) %}
        {% set row = run_query(
            "select min(read_from) filter (where not is_late), min(read_from) filter (where is_late) from " ~ relation
        ).rows[0] %}
        {{ return({'on_time': row[0], 'late': row[1]}) }}
    {% endif %}
    {{ return({'on_time': none, 'late': none}) }}
{% endmacro %}
