{% macro timestamp_of(microseconds) -%}
    {{ return(adapter.dispatch('timestamp_of')(microseconds)) }}
{%- endmacro %}

{% macro default__timestamp_of(microseconds) -%}
    /* cross_db:timestamp_of */ make_timestamp({{ microseconds }})
{%- endmacro %}
