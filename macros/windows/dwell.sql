{% macro dwell(views, pages, activity, dwell_us) %}
    {#
        Views of a page on which the user stayed: the first active event of the visit more than `dwell_us` after the
        view, if no other page came before it. All three relations have user_id, visit_started_us, occurred_us;
        `views` has event_key and page_url too, `pages` page_url (a null differs from every other).
        Gives user_id, event_key, occurred_us of the view, matched_us: one row a match, of several views that match
        together the earliest, of simultaneous ones the smallest key.
    #}
    with page_instants as (
        select
            user_id,
            visit_started_us,
            occurred_us,
            case when min(page_url) = max(page_url) and count(*) = count(page_url) then min(page_url) end as only_url
        from {{ pages }}
        group by user_id, visit_started_us, occurred_us
    ),

    page_runs as (
        select
            *,
            case
                when
                    only_url = lag(only_url) over (
                        partition by user_id, visit_started_us order by occurred_us nulls first
                    ) then 0
                else 1
            end as is_turn
        from page_instants
    ),

    page_turns as (
        select
            user_id,
            visit_started_us,
            occurred_us,
            lead(only_url) over (partition by user_id, visit_started_us order by occurred_us nulls first) as next_url,
            lead(occurred_us) over (partition by user_id, visit_started_us order by occurred_us nulls first) as next_us,
            min(case when is_turn = 1 then occurred_us end) over (
                partition by user_id, visit_started_us order by occurred_us nulls first
                rows between 2 following and unbounded following
            ) as turn_after_next_us
        from page_runs
    ),

    active_instants as (
        select
            user_id,
            visit_started_us,
            occurred_us
        from {{ activity }}
        group by user_id, visit_started_us, occurred_us
    ),

    active_after as (
        select
            user_id,
            visit_started_us,
            occurred_us,
            min(occurred_us) over (
                partition by user_id, visit_started_us order by occurred_us nulls first
                range between {{ dwell_us }} + 1 following and unbounded following
            ) as matched_us
        from active_instants
    ),

    stays as (
        select
            views.user_id,
            views.event_key,
            views.occurred_us,
            active_after.matched_us,
            case
                when page_turns.next_url = views.page_url then page_turns.turn_after_next_us
                else page_turns.next_us
            end as left_us
        from {{ views }} as views
        inner join active_after
            on views.user_id = active_after.user_id
            and views.visit_started_us = active_after.visit_started_us
            and views.occurred_us = active_after.occurred_us
        left join page_turns
            on views.user_id = page_turns.user_id
            and views.visit_started_us = page_turns.visit_started_us
            and views.occurred_us = page_turns.occurred_us
    ),

    ranked as (
        select
            *,
            row_number() over (
                partition by user_id, matched_us order by occurred_us, event_key
            ) as place
        from stays
        where matched_us is not null and coalesce(matched_us <= left_us, true)
    )

    select
        user_id,
        event_key,
        occurred_us,
        matched_us
    from ranked
    where place = 1
{% endmacro %}
