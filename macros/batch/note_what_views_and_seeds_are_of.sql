{% macro note_what_views_and_seeds_are_of(results) %}
    {#
        A micro-batch can leave out views and seeds that are what the project's files say (light builds, as Dagster
        runs them). The fingerprint of those files, which whoever started dbt took, stands in a comment as long as
        nothing else made one of them and no build failed.
    #}
    {% if execute and flags.WHICH in ('run', 'build', 'seed') and not flags.EMPTY %}
        {% set made = [] %}
        {% set state = namespace(has_failed=false) %}
        {% for result in results %}
            {% if result.status in ('error', 'fail', 'skipped') %}
                {% set state.has_failed = true %}
            {% elif result.status == 'success' %}
                {% do made.append(result.node.unique_id) %}
            {% endif %}
        {% endfor %}
        {% set named = [] %}
        {% for node in graph.nodes.values() if node.package_name == project_name %}
            {% if node.resource_type == 'seed' or node.resource_type == 'model' and node.config.materialized == 'view' %}
                {% do named.append(node.unique_id) %}
            {% endif %}
        {% endfor %}
        {% set lacking = named | reject('in', made) | list %}
        {% set fingerprint = env_var('TRIPLINE_BUILT_FROM', '') %}
        {% set noted = run_query(
            "select comment from duckdb_tables() where database_name = '" ~ target.database
            ~ "' and schema_name = 'batches' and table_name = 'finished_builds'"
        ).rows[0][0] %}
        {% if fingerprint and not lacking and not state.has_failed %}
            comment on table batches.finished_builds is '{{ fingerprint }}'
        {% elif noted and (state.has_failed or lacking | length < named | length and noted != fingerprint) %}
            comment on table batches.finished_builds is null
        {% endif %}
    {% endif %}
{% endmacro %}
