{% macro ordered_sequence(relation, within_us) %}
    {#
        Last steps that follow a first step within `within_us`, with no breaker from the first step to the last one,
        ends included. `relation` has user_id, occurred_us, event_key, is_first, is_last, is_breaker (integers 0 or 1).
        Only the latest first step counts: if a breaker stands after it, one stands after every earlier one too.
        Gives user_id, first_us, last_us.
    #}
    with instants as (
        select
            user_id,
            occurred_us,
            max(is_first) as is_first,
            max(is_last) as is_last,
            max(is_breaker) as is_breaker
        from {{ relation }}
        group by user_id, occurred_us
    ),

    preceded as (
        select
            user_id,
            occurred_us as last_us,
            is_last,
            max(case when is_first = 1 then occurred_us end) over (
                partition by user_id order by occurred_us nulls first rows between unbounded preceding and current row
            ) as first_us,
            max(case when is_breaker = 1 then occurred_us end) over (
                partition by user_id order by occurred_us nulls first rows between unbounded preceding and current row
            ) as broken_us
        from instants
    )

    select
        user_id,
        first_us,
        last_us
    from preceded
    where
        is_last = 1
        and first_us >= last_us - {{ within_us }}
        and coalesce(broken_us < first_us, true)
{% endmacro %}
