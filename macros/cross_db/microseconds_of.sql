{% macro microseconds_of(timestamp) -%}
    {{ return(adapter.dispatch('microseconds_of')(timestamp)) }}
{%- endmacro %}

{% macro default__microseconds_of(timestamp) -%}
    /* cross_db:microseconds_of */ epoch_us({{ timestamp }})
{%- endmacro %}
