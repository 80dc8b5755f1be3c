{% macro get_incremental_swap_sql(arg_dict) %}
    {#
        Replaces what the affected users have from changed_from on. dbt's delete+insert would delete only keys that
        come back, and keep the rows of a user whose matches all vanished.
        Model config `swap_on`: an SQL condition over `target` and `affected`; `swap_time`: the column of `target` that
        it bounds, up to a day before changed_from.
    #}
    {% set first_change = get_scan_bounds()['first_change'] %}
    {% set target_relation = arg_dict['target_relation'] %}
    {% set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}
    {% if get_limits()['is_full'] %}
    delete from {{ target_relation }};
    {% else %}
    delete from {{ target_relation }} as target
    using {{ ref('int_batch__affected_users') }} as affected
    where target.user_id = affected.user_id and {{ config.require('swap_on') }}
    {%- if config.get('swap_time') and first_change is not none %}
        and target.{{ config.get('swap_time') }} >= timestamp '{{ first_change }}' - interval '1 day'
    {%- endif %};
    {% endif %}
    insert into {{ target_relation }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}
