{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    on_schema_change='append_new_columns',
    post_hook="{{ tell_figures() }}"
) }}
{{ assert_inputs_are_built_along() }}
{% set settings = get_settings() %}
{% set first_change = get_scan_bounds()['first_change'] %}
{% set horizon = get_ledger_horizon() %}
{% set prior_watermark = get_limits()['prior_watermark_at'] %}

with limits as (
    select * from {{ ref('int_batch__limits') }}
),

ledger as not materialized (
    {% if is_incremental() %}
    select * from {{ this }}
    {% else %}
    {{ empty_ledger() | indent(4) }}
    {% endif %}
),

-- New ones are matches of affected users. By their keys first: the evidence is wide, and few are due.
renewed as (
    select
        matches.trigger_name,
        matches.user_id,
        matches.matched_at,
        matches.is_absence
    from {{ ref('trigger_matches') }} as matches
    inner join {{ ref('int_batch__affected_users') }} as affected on matches.user_id = affected.user_id
    where
        matches.matched_at >= affected.changed_from
        and matches.matched_at >= timestamp '{{ first_change or '0001-01-01' }}'
),

-- A timer that ran out can be anybody's. The watermark of the last finished build bounds the search: it may have gone
-- back meanwhile, where a source was added or more lateness is allowed.
run_out as (
    select
        matches.trigger_name,
        matches.user_id,
        matches.matched_at,
        matches.is_absence
    from {{ ref('trigger_matches') }} as matches
    cross join limits
    where
        matches.is_absence
        and coalesce(matches.matched_at > limits.prior_watermark_at, true)
        and matches.matched_at > timestamp '{{ prior_watermark or '0001-01-01' }}'
        and not exists (
            select 1
            from {{ ref('int_batch__affected_users') }} as affected
            where affected.user_id = matches.user_id and affected.changed_from <= matches.matched_at
        )
),

candidates as (
    select candidates.*
    from (
        select * from renewed
        union all
        select * from run_out
    ) as candidates
    cross join limits
    where not candidates.is_absence or candidates.matched_at <= limits.watermark_at
),

decided as (
    select
        trigger_name,
        user_id,
        matched_at
    from ledger
    where
        matched_at >= least(
            timestamp '{{ first_change or '9999-12-31' }}', timestamp '{{ prior_watermark or '0001-01-01' }}'
        )
        and user_id in (select candidates.user_id from candidates)
),

undecided as materialized (
    select candidates.*
    from candidates
    where
        not exists (
            select 1
            from decided
            where
                decided.trigger_name = candidates.trigger_name
                and decided.user_id = candidates.user_id
                and decided.matched_at = candidates.matched_at
        )
),

due as (
    select matches.*
    from {{ ref('trigger_matches') }} as matches
    inner join undecided
        on matches.trigger_name = undecided.trigger_name
        and matches.user_id = undecided.user_id
        and matches.matched_at = undecided.matched_at
    where
        matches.matched_at >= least(
            timestamp '{{ first_change or '9999-12-31' }}', timestamp '{{ prior_watermark or '0001-01-01' }}'
        )
),

configured as (
    select
        due.*,
        limits.clock_at as decided_at,
        limits.upto_batch_id as batch_id,
        limits.config_version,
        due.user_id like 'anon:%' as is_anonymous,
        triggers.campaign,
        cast(triggers.priority as bigint) as priority,
        cast(triggers.cooldown_seconds as bigint) as cooldown_seconds,
        cast(triggers.max_age_seconds as bigint) as max_age_seconds
    from due
    cross join limits
    inner join {{ ref('triggers') }} as triggers on due.trigger_name = triggers.trigger_name
),

refusals as (
    select consents.user_id
    from {{ ref('int_consents') }} as consents
    where consents.user_id in (select configured.user_id from configured)
    group by consents.user_id
    having not arg_max(consents.is_granted, consents.said_at)
    union
    select user_id from {{ ref('suppressed_users') }}
),

-- Two plain bounds, for an OR of them would not let DuckDB skip row groups.
fired as (
    select * from ledger
    where decision = 'fired' and decided_at >= timestamp '{{ horizon }}'
    union all
    select * from ledger
    where decision = 'fired' and decided_at < timestamp '{{ horizon }}' and matched_at >= timestamp '{{ horizon }}'
),

-- What a firing counts for: the user it names, and whoever owns an event of its evidence now.
{{ firings_by_owner('configured') | indent(0) }}

prior_counts as (
    select
        firings.owner_id,
        count(distinct firings.decision_id) as firings
    from firings
    cross join limits
    where
        firings.decided_at >= limits.clock_at - interval '{{ settings['frequency_cap_period_seconds'] }} seconds'
        and firings.decided_at <= limits.clock_at
    group by firings.owner_id
),

cooling as (
    select distinct
        configured.trigger_name,
        configured.user_id,
        configured.matched_at
    from configured
    inner join firings
        on configured.user_id = firings.owner_id and configured.trigger_name = firings.trigger_name
    where
        abs(epoch_us(configured.matched_at) - epoch_us(firings.matched_at)) < configured.cooldown_seconds * 1000000
        or abs(epoch_us(configured.decided_at) - epoch_us(firings.decided_at)) < configured.cooldown_seconds * 1000000
),

-- The order of the reasons is the contract's. `erased` comes between the first two, `holdout` and `anomaly` after the
-- frequency cap.
judged as (
    select
        configured.*,
        case
            when configured.is_anonymous then 'anonymous'
            when refusals.user_id is not null then 'no_consent'
            when
                epoch_us(configured.decided_at) - epoch_us(configured.matched_at)
                > configured.max_age_seconds * 1000000 then 'stale'
            when cooling.user_id is not null then 'cooldown'
        end as early_reason,
        coalesce(prior_counts.firings, 0) as prior_firings
    from configured
    left join refusals on configured.user_id = refusals.user_id
    left join cooling
        on configured.trigger_name = cooling.trigger_name
        and configured.user_id = cooling.user_id
        and configured.matched_at = cooling.matched_at
    left join prior_counts on configured.user_id = prior_counts.owner_id
),

-- All of a batch share decided_at, so a trigger with a cooldown fires at most once for a user: its first can contend.
contending as (
    select
        *,
        early_reason is null
        and (
            cooldown_seconds = 0
            or row_number() over (
                partition by user_id, trigger_name, early_reason is null order by matched_at
            ) = 1
        ) as contends
    from judged
),

placed as (
    select
        *,
        prior_firings + count(*) filter (where contends) over (
            partition by user_id order by matched_at, priority, trigger_name
            rows between unbounded preceding and current row
        ) <= {{ settings['frequency_cap_firings'] }} as is_within_cap
    from contending
),

reasoned as (
    select
        *,
        case
            when early_reason is not null then early_reason
            when contends and is_within_cap then null
            when contends then 'frequency_cap'
            when bool_or(contends and is_within_cap) over (partition by user_id, trigger_name) then 'cooldown'
            else 'frequency_cap'
        end as reason
    from placed
),

final as (
    select
        -- key
        md5(trigger_name || '|' || user_id || '|' || cast(epoch_us(matched_at) as varchar)) as decision_id,
        trigger_name,
        user_id,
        matched_at,

        -- what was decided
        case when reason is null then 'fired' else 'suppressed' end as decision,
        reason,
        decided_at,
        batch_id,

        -- the user and the evidence as known then
        is_anonymous,
        is_absence,
        window_started_at,
        event_keys,
        observed_value,
        threshold_value,
        linked_anonymous_ids,

        -- the configuration in force
        variant,
        campaign,
        priority,
        cooldown_seconds,
        max_age_seconds,
        config_version
    from reasoned
)

-- In the order of time, so that a plain bound on it skips row groups.
select * from final
order by matched_at, user_id, trigger_name
