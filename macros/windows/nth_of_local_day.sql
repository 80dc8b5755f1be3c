{% macro nth_of_local_day(relation, n) %}
    {#
        The events of each user's calendar day up to the n-th, on days that have one. `relation` has user_id,
        local_day, occurred_us, event_key. Gives user_id, matched_us (of the n-th), event_key, occurred_us: n rows a
        day. Of simultaneous events the smaller key comes first.
    #}
    with numbered as (
        select
            user_id,
            local_day,
            occurred_us,
            event_key,
            row_number() over (partition by user_id, local_day order by occurred_us, event_key) as place
        from {{ relation }}
    ),

    reached as (
        select
            user_id,
            local_day,
            occurred_us as matched_us
        from numbered
        where place = {{ n }}
    )

    select
        reached.user_id,
        reached.matched_us,
        numbered.event_key,
        numbered.occurred_us
    from reached
    inner join numbered on reached.user_id = numbered.user_id and reached.local_day = numbered.local_day
    where numbered.place <= {{ n }}
{% endmacro %}
