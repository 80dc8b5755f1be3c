{% materialization table, adapter='duckdb', supported_languages=['sql'] %}
    {#
        Replaces the table in one statement, which DuckDB does atomically: dbt's own way (build beside it, two renames,
        a drop) makes four commits of every small table of every batch.
    #}
    {% set existing = load_cached_relation(this) %}
    {% set target_relation = this.incorporate(type='table') %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if existing is not none and not existing.is_table %}
        {{ drop_relation_if_exists(existing) }}
    {% endif %}
    {% if config.get('contract').enforced %}
        {{ get_assert_columns_equivalent(compiled_code) }}
    {% endif %}
    {% call statement('main') %}
        {% if config.get('contract').enforced %}
        create or replace table {{ target_relation }}
        {{ get_table_columns_and_constraints() }};
        insert into {{ target_relation }} {{ get_column_names() }} (
            {{ get_select_subquery(compiled_code) }}
        )
        {% else %}
        create or replace table {{ target_relation }} as (
            {{ compiled_code }}
        )
        {% endif %}
    {% endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
