{% macro distinct_in_window(relation, partition_by, value, window_us) %}
    {#
        How many distinct `value`s a sliding window holds, at every instant of `relation`: columns `partition_by`,
        occurred_us, observed_value. The window is [t - window_us, t], closed. No engine counts distinct values over a
        frame portably, so each value is counted from its appearance until its next one or until it leaves the window.
    #}
    with appearances as (
        select
            {{ partition_by | join(', ') }},
            {{ value }},
            occurred_us,
            lead(occurred_us) over (
                partition by {{ partition_by | join(', ') }}, {{ value }} order by occurred_us nulls first
            ) as next_us
        from {{ relation }}
        group by {{ partition_by | join(', ') }}, {{ value }}, occurred_us
    ),

    steps as (
        select
            {{ partition_by | join(', ') }},
            occurred_us,
            1 as step,
            1 as is_instant
        from appearances
        union all
        select
            {{ partition_by | join(', ') }},
            case when next_us <= occurred_us + {{ window_us }} then next_us else occurred_us + {{ window_us }} + 1 end,
            -1,
            0
        from appearances
    ),

    instants as (
        select
            {{ partition_by | join(', ') }},
            occurred_us,
            sum(step) as step,
            max(is_instant) as is_instant
        from steps
        group by {{ partition_by | join(', ') }}, occurred_us
    ),

    counted as (
        select
            {{ partition_by | join(', ') }},
            occurred_us,
            is_instant,
            sum(step) over (
                partition by {{ partition_by | join(', ') }} order by occurred_us nulls first
                rows between unbounded preceding and current row
            ) as observed_value
        from instants
    )

    select
        {{ partition_by | join(', ') }},
        occurred_us,
        observed_value
    from counted
    where is_instant = 1
{% endmacro %}
