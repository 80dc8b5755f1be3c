{% macro hash_of(text) -%}
    {{ return(adapter.dispatch('hash_of')(text)) }}
{%- endmacro %}

{% macro default__hash_of(text) -%}
    /* cross_db:hash_of */ cast(md5_number_lower({{ text }}) & 2147483647 as integer)
{%- endmacro %}
