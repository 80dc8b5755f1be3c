-- The working set: every trigger reads this and nothing else of the events. It holds what the affected users did
-- from the latest visit on that their matches since changed_from can depend on; in a full refresh, everything.
{% set limits = get_limits() %}
{% set bounds = get_scan_bounds() %}
{% set settings = get_settings() %}

with affected as (
    select * from {{ ref('int_batch__affected_users') }}
),

-- Under which identities the affected users' events stand in raw.events.
touching as (
    select distinct log.anonymous_id
    from {{ ref('int_identity_log') }} as log
    inner join affected on log.known_user_id = affected.user_id
    union
    select substr(user_id, 6) from affected where user_id like 'anon:%'
),

logged as (
    select
        log.anonymous_id,
        log.known_user_id,
        row_number() over (partition by log.anonymous_id order by log.batch_id desc) as nth
    from {{ ref('int_identity_log') }} as log
    inner join touching on log.anonymous_id = touching.anonymous_id
),

owners as (
    select
        user_id as identity_id,
        user_id
    from affected
    where user_id not like 'anon:%'

    union all

    select
        'anon:' || anonymous_id,
        coalesce(known_user_id, 'anon:' || anonymous_id)
    from logged
    where nth = 1
),

identities as (
    select
        owners.identity_id,
        affected.*
    from owners
    inner join affected on owners.user_id = affected.user_id
),

{% for pass in ['on_time', 'late'] %}
{{ pass }} as (
    select
        events.*,
        identities.user_id,
        identities.changed_from
    -- noqa: disable=LT02
    from (
        {{ counted_events(upto=limits['upto_batch_id'], from_time=bounds[pass]) | indent(8) }}
        {%- if bounds[pass] is none %}
        and false
        {%- endif %}
    ) as events
    -- noqa: enable=LT02
    inner join identities
        on events.identity_id = identities.identity_id and events.occurred_at >= identities.read_from
    where {{ 'not ' if pass == 'on_time' }}identities.is_late
),

{% endfor %}

read_events as (
    select * from on_time
    union all
    select * from late
),

described as (
    select
        read_events.*,
        {{ microseconds_of('read_events.occurred_at') }} as occurred_us,
        {{ local_day_of('read_events.occurred_at', settings['reporting_timezone']) }} as local_day,
        read_events.user_id like 'anon:%' as is_anonymous,
        passive_events.event_name is null as is_active
    from read_events
    left join {{ ref('passive_events') }} as passive_events on read_events.event_name = passive_events.event_name
),

-- 30 minutes: the gap of semantics, section 3; exactly 30 minutes continue the visit.
stepped as (
    select
        user_id,
        occurred_us,
        occurred_us - lag(occurred_us) over (partition by user_id order by occurred_us) <= 1800000000 as is_continued
    from described
    where is_active
    group by user_id, occurred_us
),

visited as (
    select
        user_id,
        occurred_us,
        max(case when coalesce(is_continued, false) then null else occurred_us end)
            over (partition by user_id order by occurred_us) as visit_started_us
    from stepped
),

-- A passive event begins, prolongs and ends no visit, but one within a visit belongs to it.
spanned as (
    select
        passive.event_key,
        visits.visit_started_us
    from described as passive
    inner join (
        select
            user_id,
            visit_started_us,
            max(occurred_us) as visit_ended_us
        from visited
        where user_id in (select described.user_id from described where not described.is_active)
        group by user_id, visit_started_us
    ) as visits
        on passive.user_id = visits.user_id
        and passive.occurred_us between visits.visit_started_us and visits.visit_ended_us
    where not passive.is_active
),

final as (
    select
        -- key
        described.event_key,

        -- whose
        described.user_id,
        described.is_anonymous,
        case
            when described.known_user_id is null and not described.is_anonymous then described.anonymous_id
        end as linked_anonymous_id,

        -- what and when
        described.event_name,
        described.is_active,
        described.occurred_at,
        described.occurred_us,
        described.local_day,
        case
            when described.is_active then visited.visit_started_us
            else spanned.visit_started_us
        end as visit_started_us,

        -- what about
        described.page_url,
        described.product_id,
        described.category,
        described.price,
        described.quantity,
        described.order_id,
        described.revenue,
        described.currency,
        described.properties,

        -- what was said of the consent category that campaigns need: null where nothing was
        case json_extract_string(described.consent, '/categoryPreferences/{{ settings['consent_category'] }}')
            when 'true' then true
            when 'false' then false
        end as said_consent,

        -- what an identify call says of the user, maybe nothing; null for every other event
        case when described.event_type = 'identify' then coalesce(described.traits, cast('{}' as json)) end as traits,

        -- matches from here on are computed anew
        described.changed_from
    from described
    left join visited on described.user_id = visited.user_id and described.occurred_us = visited.occurred_us
    left join spanned on described.event_key = spanned.event_key
)

select * from final
