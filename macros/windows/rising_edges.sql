{% macro rising_edges(relation, partition_by, threshold, window_us) %}
    {#
        The instants of a windowed value (columns `partition_by`, occurred_us, observed_value) at which it is at or
        above the threshold and was not at the latest earlier instant, if that lies within the window.
    #}
    with stepped as (
        select
            {{ partition_by | join(', ') }},
            occurred_us,
            observed_value,
            lag(occurred_us) over (partition by {{ partition_by | join(', ') }} order by occurred_us) as previous_us,
            lag(observed_value) over (partition by {{ partition_by | join(', ') }} order by occurred_us)
                as previous_value
        from {{ relation }}
    )

    select
        {{ partition_by | join(', ') }},
        occurred_us,
        observed_value
    from stepped
    where
        observed_value >= {{ threshold }}
        and (
            previous_us is null
            or previous_us < occurred_us - {{ window_us }}
            or previous_value < {{ threshold }}
        )
{% endmacro %}
