{% macro first_in_visit(activity, conditions, longer_than_us) %}
    {#
        The first active event of a visit at which the visit has lasted longer than `longer_than_us` and an event of
        `conditions` has happened in it (that event counts itself). Both relations have user_id, visit_started_us,
        occurred_us. Gives user_id, visit_started_us, met_us (of the first event of `conditions`), matched_us.
    #}
    with met as (
        select
            user_id,
            visit_started_us,
            min(occurred_us) as met_us
        from {{ conditions }}
        group by user_id, visit_started_us
    )

    select
        met.user_id,
        met.visit_started_us,
        met.met_us,
        min(activity.occurred_us) as matched_us
    from met
    inner join {{ activity }} as activity
        on met.user_id = activity.user_id and met.visit_started_us = activity.visit_started_us
    where
        activity.occurred_us > met.visit_started_us + {{ longer_than_us }}
        and activity.occurred_us >= met.met_us
    group by met.user_id, met.visit_started_us, met.met_us
{% endmacro %}
