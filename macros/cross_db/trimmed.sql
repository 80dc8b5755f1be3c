{% macro trimmed(text) -%}
    {{ return(adapter.dispatch('trimmed')(text)) }}
{%- endmacro %}

{% macro default__trimmed(text) -%}
    {#- The blanks that the loader takes off text too: what Unicode calls white space. -#}
    {%- set blanks = [9, 10, 11, 12, 13, 28, 29, 30, 31, 133, 160, 5760] + range(8192, 8203) | list
        + [8232, 8233, 8239, 8287, 12288] -%}
    /* cross_db:trimmed */ nullif(trim({{ text }}, ' '
    {%- for blank in blanks %} || chr({{ blank }}){% endfor %}), '')
{%- endmacro %}
