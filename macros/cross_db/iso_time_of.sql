{% macro iso_time_of(timestamp) -%}
    {{ return(adapter.dispatch('iso_time_of')(timestamp)) }}
{%- endmacro %}

{% macro default__iso_time_of(timestamp) -%}
    /* cross_db:iso_time_of */ strftime({{ timestamp }}, '%Y-%m-%dT%H:%M:%S.%fZ')
{%- endmacro %}
