{% materialization view, adapter='duckdb' %}
    {#
        A view is made again only where its SQL, or a model of the project, changed: dbt's own way renames, drops and
        describes in nine statements, each with a commit, for every view of every batch. The fingerprint stands in the
        view's comment.
    #}
    {% set existing = load_cached_relation(this) %}
    {% set target_relation = this.incorporate(type='view') %}
    {% set fingerprint = local_md5(compiled_code ~ get_project_fingerprint()) %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if existing is none or not existing.is_view or get_view_comment(this) != fingerprint %}
        {% if existing is not none and not existing.is_view %}
            {{ drop_relation_if_exists(existing) }}
        {% endif %}
        {% if config.get('contract').enforced %}
            {{ get_assert_columns_equivalent(compiled_code) }}
        {% endif %}
        {% call statement('main') %}
            create or replace view {{ target_relation }} as (
                {{ compiled_code }}
            );
            comment on view {{ target_relation }} is '{{ fingerprint }}'
        {% endcall %}
    {% else %}
        {% do store_raw_result('main', message='unchanged', code='unchanged', rows_affected='0') %}
    {% endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
