{% macro get_audited_after() %}
    {#
        The tests tagged audit look at batches after this one. In a build those that it takes in. In a `dbt test` of
        their own those of the last audit_hours before the last build, so that an hourly audit leaves none out.
    #}
    {% if not execute or flags.WHICH != 'test' %}
        {{ return(get_limits()['done_batch_id']) }}
    {% endif %}
    {% set builds = source('batches', 'finished_builds') %}
    {% set rows = run_query(
        "select coalesce(max(upto_batch_id), -1) as batch_id from " ~ builds
        ~ " where finished_at < (select max(latest.finished_at) from " ~ builds ~ " as latest) - interval '"
        ~ var('audit_hours') ~ " hours'"
    ).rows %}
    {{ return(rows[0]['batch_id']) }}
{% endmacro %}
