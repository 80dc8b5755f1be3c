{% macro firings_by_owner(candidates) %}
    {#
        CTEs ending in `firings` (decision_id, trigger_name, owner_id, matched_at, decided_at): earlier firings that
        count for the users of `candidates`, from the CTE `fired`. Evidence changes hands only through an identity
        link, so the devices a firing rests on are enough to find its owners.
    #}
candidate_links as (
    select
        log.anonymous_id,
        log.known_user_id,
        row_number() over (partition by log.anonymous_id order by log.batch_id desc) as nth
    from {{ ref('int_identity_log') }} as log
    where log.anonymous_id in (
        select touching.anonymous_id
        from {{ ref('int_identity_log') }} as touching
        where touching.known_user_id in (select user_id from {{ candidates }})
    )
),

linked_firings as (
    select
        decision_id,
        trigger_name,
        matched_at,
        decided_at,
        unnest(linked_anonymous_ids) as anonymous_id
    from fired
    where len(linked_anonymous_ids) > 0
),

firings as (
    select
        decision_id,
        trigger_name,
        user_id as owner_id,
        matched_at,
        decided_at
    from fired
    where user_id in (select user_id from {{ candidates }})

    union

    select
        linked_firings.decision_id,
        linked_firings.trigger_name,
        candidate_links.known_user_id,
        linked_firings.matched_at,
        linked_firings.decided_at
    from linked_firings
    inner join candidate_links on linked_firings.anonymous_id = candidate_links.anonymous_id
    where candidate_links.nth = 1 and candidate_links.known_user_id is not null
),
{% endmacro %}
