{% macro get_scan_bounds() %}
    {#
        Plain lower bounds, which let DuckDB skip row groups: from when on the two passes over raw.events read, and the
        earliest change of any user. None where there is nobody to read for.
    #}
    {% set relation = ref('int_batch__affected_users') %}
    {% if execute and relation.database and adapter.get_relation(relation.database, relation.schema, relation.identifier) %}
        {% set row = run_query(
            "select min(read_from) filter (where not is_late), min(read_from) filter (where is_late), min(changed_from) from "
            ~ relation
        ).rows[0] %}
        {{ return({'on_time': row[0], 'late': row[1], 'first_change': row[2]}) }}
    {% endif %}
    {{ return({'on_time': none, 'late': none, 'first_change': none}) }}
{% endmacro %}
