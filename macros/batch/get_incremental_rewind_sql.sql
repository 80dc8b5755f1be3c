{% macro get_incremental_rewind_sql(arg_dict) %}
    {# Takes back what an unfinished build appended, then appends: the rows carry the batch that wrote them. #}
    {% set target_relation = arg_dict['target_relation'] %}
    {% set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}
    delete from {{ target_relation }} where batch_id > {{ get_limits()['done_batch_id'] }};
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}
