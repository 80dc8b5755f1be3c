{% macro get_scan_bounds() %}
    {#
        Plain lower bounds, which let DuckDB skip row groups: from when on the passes over raw.events read, and the
        earliest change of any user. None where there is nobody to read for.
    #}
    {% set relation = ref('int_batch__affected_users') %}
    {% if execute and relation.database and adapter.get_relation(relation.database, relation.schema, relation.identifier) %}
        {% set table = run_query(
            "select min(read_from) filter (where lateness = 'on time') as on_time, "
            ~ "min(named_from) filter (where lateness = 'on time') as on_time_earlier, "
            ~ "min(least(read_from, named_from)) filter (where lateness = 'late') as late, "
            ~ "min(least(read_from, named_from)) filter (where lateness = 'very late') as very_late, "
            ~ "min(changed_from) as first_change from " ~ relation
        ) %}
        {{ return(dict(zip(table.column_names, table.rows[0].values()))) }}
    {% endif %}
    {{ return({'on_time': none, 'on_time_earlier': none, 'late': none, 'very_late': none, 'first_change': none}) }}
{% endmacro %}
