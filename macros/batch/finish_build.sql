{% macro finish_build(results) %}
    {#
        Runs after failures too, so it looks at the results: the build is finished only if every model that holds
        state was in it and ended well. Until then the next build starts from the same batch again.
    #}
    {% if execute and flags.WHICH in ('run', 'build') and not flags.EMPTY %}
        {% set succeeded = [] %}
        {% for result in results if result.status == 'success' %}
            {% do succeeded.append(result.node.unique_id) %}
        {% endfor %}
        {% set missing = [] %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.package_name == project_name %}
            {% if node.fqn[1] in ('batches', 'identity', 'behavior', 'activation')
                and node.config.materialized in ('table', 'incremental') and node.unique_id not in succeeded %}
                {% do missing.append(node.name) %}
            {% endif %}
        {% endfor %}
        {% if missing | length == 0 %}
            {% set limits = adapter.get_relation(target.database, generate_schema_name('batches', none), 'int_batch__limits') %}
            insert into batches.finished_builds
            select
                build_id,
                upto_batch_id,
                watermark_at,
                clock_at,
                config_version,
                match_version,
                is_full,
                current_timestamp::timestamp
            from {{ limits }}
            where build_id = '{{ invocation_id }}'
        {% else %}
            {% do log("Not a whole build; the next one catches up. Not built: " ~ missing | sort | join(', '), info=(succeeded | length > 0)) %}
        {% endif %}
    {% endif %}
{% endmacro %}
