{% macro get_queue() %}
    {# campaign_queue as an earlier build left it; none where there is none, or where somebody emptied it. #}
    {% if execute and adapter.get_relation(this.database, this.schema, this.identifier)
        and run_query("select count(*) from " ~ this ~ " where decision_id is null").rows[0][0] == 1 %}
        {{ return(this) }}
    {% endif %}
    {{ return(none) }}
{% endmacro %}
