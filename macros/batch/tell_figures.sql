{% macro tell_figures() %}
    {#
        For whoever reads dbt's log as JSON, as Dagster does: what the batch came to, in one line as soon as `this` is
        built, so that nobody has to open the warehouse again for it. A person's own `dbt build` prints nothing.
    #}
    {% if execute and flags.LOG_FORMAT == 'json' %}
        {% set limits = run_query(
            "select upto_batch_id as batch, cast(clock_at as varchar) as clock, cast(watermark_at as varchar) as watermark, "
            ~ "full_reason, config_version from " ~ ref('int_batch__limits')
        ).rows[0] %}
        {% if this.identifier == 'trigger_decisions' %}
            {% set sql = "select trigger_name, decision, coalesce(reason, decision) as outcome, count(*) as total from "
                ~ this ~ " where batch_id = " ~ limits['batch'] ~ " group by all order by all" %}
        {% else %}
            {% set sql = "select trigger_name, count(*) as total from " ~ this ~ " group by all order by all" %}
        {% endif %}
        {% set rows = [] %}
        {% for row in run_query(sql).rows %}
            {% do rows.append(row.values() | list) %}
        {% endfor %}
        {% do log('figures of the batch: ' ~ tojson({'limits': limits.dict(), 'rows': rows}), info=true) %}
    {% endif %}
{% endmacro %}
