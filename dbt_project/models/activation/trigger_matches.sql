{{ config(
    materialized='incremental',
    incremental_strategy='swap',
    swap_on='target.matched_at >= affected.changed_from',
    swap_time='matched_at',
    post_hook="{{ tell_figures() }}"
) }}
-- depends_on: {{ ref('int_batch__limits') }} {{ ref('triggers') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
{% set off = get_seed_rows('triggers') | selectattr('is_enabled', 'equalto', 'false') %}
{% set disabled = off | map(attribute='trigger_name') | list %}

with matched as (
    {% for trigger in var('triggers') %}
    select
        trigger_name,
        user_id,
        matched_at,
        variant,
        is_absence,
        window_started_at,
        event_keys,
        observed_value,
        threshold_value
    from {{ ref('trg_' ~ trigger) }}
    where {{ 'false' if trigger in disabled else 'true' }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- Earlier matches cannot have changed, and the working set does not hold all they rest on.
renewed as (
    select matched.*
    from matched
    inner join {{ ref('int_batch__affected_users') }} as affected on matched.user_id = affected.user_id
    where matched.matched_at >= affected.changed_from
),

-- Events that belong to their user only through an identity link: a later link can hand them to another.
linked_events as (
    select
        event_key,
        user_id,
        linked_anonymous_id
    from {{ ref('int_batch__events') }}
    where linked_anonymous_id is not null
    union all
    select
        last_event_key,
        user_id,
        last_event_linked_anonymous_id
    from {{ ref('int_batch__earlier_visits') }}
    where last_event_linked_anonymous_id is not null
    union all
    select
        first_event_key,
        user_id,
        first_event_linked_anonymous_id
    from {{ ref('int_batch__earlier_visits') }}
    where first_event_linked_anonymous_id is not null
),

unnested as (
    select
        renewed.trigger_name,
        renewed.user_id,
        renewed.matched_at,
        unnest(renewed.event_keys) as event_key
    from renewed
    where renewed.user_id in (select linked_events.user_id from linked_events)
),

links as (
    select
        unnested.trigger_name,
        unnested.user_id,
        unnested.matched_at,
        list_sort(list(distinct linked_events.linked_anonymous_id)) as linked_anonymous_ids
    from unnested
    inner join linked_events
        on unnested.event_key = linked_events.event_key and unnested.user_id = linked_events.user_id
    group by unnested.trigger_name, unnested.user_id, unnested.matched_at
),

final as (
    select
        renewed.trigger_name,
        renewed.user_id,
        renewed.matched_at,
        renewed.variant,
        renewed.is_absence,
        renewed.window_started_at,
        renewed.event_keys,
        renewed.observed_value,
        renewed.threshold_value,
        coalesce(links.linked_anonymous_ids, cast([] as varchar[])) as linked_anonymous_ids
    from renewed
    left join links
        on renewed.trigger_name = links.trigger_name
        and renewed.user_id = links.user_id
        and renewed.matched_at = links.matched_at
)

-- In the order of time, so that a plain bound on it skips row groups.
select * from final
order by matched_at, user_id, trigger_name
