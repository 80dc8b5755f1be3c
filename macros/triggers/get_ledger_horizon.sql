{% macro get_ledger_horizon() %}
    {#
        Firings both matched and decided before this count for no decision of this build: what is not stale matched
        within its max_age of the clock, and no cooldown and no frequency cap reaches further back from there.
    #}
    {% set clock_at = get_limits()['clock_at'] %}
    {% set reaches = [get_settings()['frequency_cap_period_seconds'] | int] %}
    {% for row in get_seed_rows('triggers') %}
        {% do reaches.append(row['max_age_seconds'] | int + row['cooldown_seconds'] | int) %}
    {% endfor %}
    {{ return(clock_at - modules.datetime.timedelta(seconds=reaches | max) if clock_at else '0001-01-01') }}
{% endmacro %}
