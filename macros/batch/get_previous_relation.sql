{% macro get_previous_relation(model_name, schema_name) %}
    {#
        The table as an earlier build left it, for a step that comes before the model in the graph. Safe for two
        readers only, each of which asks for rows that no unfinished build can have changed:
        int_batch__devices (int_identity_log rows of finished batches) and int_batch__affected_users,
        int_batch__earlier_visits (int_visits rows before changed_from).
        None where there is no such table, or where this build computes everything anew.
    #}
    {% if not execute or flags.FULL_REFRESH %}
        {{ return(none) }}
    {% endif %}
    {{ return(adapter.get_relation(this.database, generate_schema_name(schema_name, none), model_name)) }}
{% endmacro %}
