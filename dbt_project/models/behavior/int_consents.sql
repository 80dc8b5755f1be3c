{{ config(
    materialized='incremental',
    incremental_strategy='swap',
    swap_on='target.said_at >= affected.changed_from',
    swap_time='said_at'
) }}
-- depends_on: {{ ref('int_batch__affected_users') }} {{ ref('int_batch__limits') }}
{{ assert_full_refresh_is_whole() }}
{{ assert_inputs_are_built_along() }}
-- When each user's word on the consent that campaigns need changed. Only changes, because many shops say it with
-- every event. Of simultaneous words the refusal counts.
with spoken as (
    select
        user_id,
        occurred_at as said_at,
        bool_and(said_consent) as is_granted
    from {{ ref('int_batch__events') }}
    where said_consent is not null and occurred_at >= changed_from
    group by user_id, occurred_at
),

-- Rows before changed_from are as the last finished build left them.
earlier as (
    {% if is_incremental() and not get_limits()['is_full'] %}
    select
        target.user_id,
        arg_max(target.is_granted, target.said_at) as is_granted
    from {{ this }} as target
    inner join {{ ref('int_batch__affected_users') }} as affected
        on target.user_id = affected.user_id and target.said_at < affected.changed_from
    group by target.user_id
    {% else %}
    select
        affected.user_id,
        cast(null as boolean) as is_granted
    from {{ ref('int_batch__affected_users') }} as affected
    {% endif %}
),

stepped as (
    select
        spoken.*,
        lag(spoken.is_granted) over (partition by spoken.user_id order by spoken.said_at) as previous_word,
        earlier.is_granted as earlier_word
    from spoken
    left join earlier on spoken.user_id = earlier.user_id
),

final as (
    select
        user_id,
        said_at,
        is_granted
    from stepped
    where is_granted is distinct from coalesce(previous_word, earlier_word)
)

-- In the order of time, so that a plain bound on it skips row groups.
select * from final
order by said_at, user_id
