{% macro dwell(views, pages, activity, dwell_us) %}
    {#
        Views of a page on which the user stayed: the first active event of the visit more than `dwell_us` after the
        view, if no other page came before it. All three relations have user_id, visit_started_us, occurred_us;
        `views` has event_key and page_url too, `pages` page_url (a null differs from every other).
        Gives user_id, event_key, occurred_us of the view, matched_us: one row a match, of several views that match
        together the earliest, of simultaneous ones the smallest key.
        Most views are left at once, so they are sorted out first and only the rest is looked at closely.
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

    neighbours as (
        select
            user_id,
            visit_started_us,
            occurred_us,
            only_url,
            lag(only_url) over (
                partition by user_id, visit_started_us order by occurred_us nulls first
            ) as previous_url,
            lead(only_url) over (
                partition by user_id, visit_started_us order by occurred_us nulls first
            ) as next_url,
            lead(occurred_us) over (
                partition by user_id, visit_started_us order by occurred_us nulls first
            ) as next_us
        from page_instants
    ),

    candidates as (
        select
            views.user_id,
            views.visit_started_us,
            views.event_key,
            views.occurred_us,
            neighbours.next_us,
            coalesce(neighbours.next_url = views.page_url, false) as is_same_page_next
        from {{ views }} as views
        inner join neighbours
            on views.user_id = neighbours.user_id
            and views.visit_started_us = neighbours.visit_started_us
            and views.occurred_us = neighbours.occurred_us
        where
            neighbours.next_us is null
            or neighbours.next_us > views.occurred_us + {{ dwell_us }}
            or neighbours.next_url = views.page_url
    ),

    candidate_visits as (
        select
            user_id,
            visit_started_us
        from candidates
        group by user_id, visit_started_us
    ),

    -- When a page is viewed again and again, it is left at the next instant that shows another one.
    turns as (
        select
            neighbours.user_id,
            neighbours.visit_started_us,
            neighbours.occurred_us,
            min(case when coalesce(neighbours.only_url = neighbours.previous_url, false) then null else neighbours.occurred_us end)
                over (
                    partition by neighbours.user_id, neighbours.visit_started_us
                    order by neighbours.occurred_us nulls first
                    rows between 2 following and unbounded following
                ) as turn_after_next_us
        from neighbours
        inner join candidate_visits
            on neighbours.user_id = candidate_visits.user_id
            and neighbours.visit_started_us = candidate_visits.visit_started_us
    ),

    -- A view can be passive: an instant to look from, but no activity.
    activity_steps as (
        select
            activity.user_id,
            activity.visit_started_us,
            activity.occurred_us,
            activity.occurred_us as active_us
        from {{ activity }} as activity
        inner join candidate_visits
            on activity.user_id = candidate_visits.user_id
            and activity.visit_started_us = candidate_visits.visit_started_us
        union all
        select
            user_id,
            visit_started_us,
            occurred_us,
            null
        from candidates
    ),

    active_instants as (
        select
            user_id,
            visit_started_us,
            occurred_us,
            max(active_us) as active_us
        from activity_steps
        group by user_id, visit_started_us, occurred_us
    ),

    active_after as (
        select
            user_id,
            visit_started_us,
            occurred_us,
            min(active_us) over (
                partition by user_id, visit_started_us order by occurred_us nulls first
                range between {{ dwell_us }} + 1 following and unbounded following
            ) as matched_us
        from active_instants
    ),

    stays as (
        select
            candidates.user_id,
            candidates.event_key,
            candidates.occurred_us,
            active_after.matched_us,
            case
                when candidates.is_same_page_next then turns.turn_after_next_us
                else candidates.next_us
            end as left_us
        from candidates
        inner join active_after
            on candidates.user_id = active_after.user_id
            and candidates.visit_started_us = active_after.visit_started_us
            and candidates.occurred_us = active_after.occurred_us
        inner join turns
            on candidates.user_id = turns.user_id
            and candidates.visit_started_us = turns.visit_started_us
            and candidates.occurred_us = turns.occurred_us
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
