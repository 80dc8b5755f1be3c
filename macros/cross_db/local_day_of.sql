{% macro local_day_of(timestamp, timezone) -%}
    {{ return(adapter.dispatch('local_day_of')(timestamp, timezone)) }}
{%- endmacro %}

{% macro default__local_day_of(timestamp, timezone) -%}
    {%- if timezone == 'UTC' -%}
    /* cross_db:local_day_of */ cast({{ timestamp }} as date)
    {%- else -%}
    /* cross_db:local_day_of */ cast(timezone('{{ timezone }}', timezone('UTC', {{ timestamp }})) as date)
    {%- endif -%}
{%- endmacro %}
