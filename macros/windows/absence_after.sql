{% macro absence_after(relation, wait_us) %}
    {#
        Openers after which nothing came for `wait_us`. `relation` has user_id, occurred_us, event_key, is_opener,
        is_closer (integers 0 or 1). An opener at t matches at t + wait_us if there is no other opener in
        (t, t + wait_us] and no closer in [t, t + wait_us].
        Gives user_id, opened_us, event_key (of simultaneous openers the smallest), matched_us.
    #}
    with instants as (
        select
            user_id,
            occurred_us,
            max(is_opener) as is_opener,
            max(is_closer) as is_closer,
            min(case when is_opener = 1 then event_key end) as event_key
        from {{ relation }}
        group by user_id, occurred_us
    ),

    followed as (
        select
            user_id,
            occurred_us,
            is_opener,
            event_key,
            min(case when is_opener = 1 then occurred_us end) over (
                partition by user_id order by occurred_us nulls first rows between 1 following and unbounded following
            ) as next_opener_us,
            min(case when is_closer = 1 then occurred_us end) over (
                partition by user_id order by occurred_us nulls first rows between current row and unbounded following
            ) as next_closer_us
        from instants
    )

    select
        user_id,
        occurred_us as opened_us,
        event_key,
        occurred_us + {{ wait_us }} as matched_us
    from followed
    where
        is_opener = 1
        and coalesce(next_opener_us > occurred_us + {{ wait_us }}, true)
        and coalesce(next_closer_us > occurred_us + {{ wait_us }}, true)
{% endmacro %}
