{% macro ordered_array_agg(expression, order_by) -%}
    {{ return(adapter.dispatch('ordered_array_agg')(expression, order_by)) }}
{%- endmacro %}

{% macro default__ordered_array_agg(expression, order_by) -%}
    /* cross_db:ordered_array_agg */ array_agg({{ expression }} order by {{ order_by }})
{%- endmacro %}
