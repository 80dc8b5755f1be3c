{% macro sum_in_window(relation, partition_by, amount, window_us) %}
    {#
        The sum of `amount` over [t - window_us, t], closed, at every instant of `relation`: columns `partition_by`,
        occurred_us, observed_value. Simultaneous rows are one instant.
    #}
    with instants as (
        select
            {{ partition_by | join(', ') }},
            occurred_us,
            sum({{ amount }}) as amount
        from {{ relation }}
        group by {{ partition_by | join(', ') }}, occurred_us
    )

    select
        {{ partition_by | join(', ') }},
        occurred_us,
        sum(amount) over (
            partition by {{ partition_by | join(', ') }} order by occurred_us nulls first
            range between {{ window_us }} preceding and current row
        ) as observed_value
    from instants
{% endmacro %}
